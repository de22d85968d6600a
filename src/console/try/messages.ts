/** Texts of the view that tries things. */

const en = {
  title: 'Try it',
  intro:
    'Each button does what its command does, and then shows what it caused. Nothing here is a ' +
    'simulation: it happens in the services that run.',
  startTour: 'Start the tour of five steps',
  form: 'Accounts and amount',
  from: 'From',
  to: 'To',
  amount: 'Amount ({currency})',
  command: 'The same as a command:',
  commandTwice: 'The same as a command, to be run twice:',
  running: 'Running …',
  at: 'At {time}:',
  status: 'Status {status}',
  answer: 'Answer',
  replayed: 'the first answer was repeated, and nothing was done again',
  see: 'See what it caused',
  remedy: 'What to do:',
  expected: 'This refusal is what the button is for.',
  starting: 'The settings of the service are still loading.',
  noWallet:
    'The address of the wallet is not configured. Set WALLET_PUBLIC_URL for balances, and the address' +
    ' of this page in CORS_ORIGINS of the wallet.',
  noHold: 'There is no open hold from this page: place one first.',
  actionsOff:
    'Actions of the console are off here. For a demonstration, start balances with ' +
    'CONSOLE_ACTIONS=true; npm start does that. Once there are API keys, it takes one with the scope ' +
    'admin.',
  notLocal: 'Only npm start can do this: it owns these processes. Start Saldo with npm start to try it.',
  moneyGroup: 'Money',
  projectionGroup: 'Read model',
  recordsGroup: 'Records',
  processesGroup: 'Processes',
  payTitle: 'Make a transfer',
  payText: 'One atomic append at the wallet, events through the outbox, and balances follows.',
  payDo: 'Pay',
  holdTitle: 'Place a hold',
  holdText: 'The amount is reserved: the balance stays, and less is available.',
  holdDo: 'Place a hold',
  captureTitle: 'Capture the hold',
  captureText: 'The reserved amount is paid: the hold becomes a transaction, once.',
  captureDo: 'Capture',
  sameKeyTitle: 'Send the same key twice',
  sameKeyText: 'As a client does that got no answer. The money moves once, and both answers are the same.',
  sameKeyDo: 'Send twice',
  payOneselfTitle: 'Pay to oneself',
  payOneselfText: 'In many solutions this creates money. Here it is refused.',
  payOneselfDo: 'Pay to oneself',
  courseRecordTitle: "Send the course's own record",
  courseRecordText:
    'A record without key, headers and versions, as the wallet of the course writes it, about ana and' +
    ' bia. Reconcile will name both, which the wallet does not have.',
  courseRecordDo: 'Send the record',
  poisonRecordTitle: 'Send a poison record',
  poisonRecordText:
    'A record that cannot be read. It becomes a dead letter, and the records behind it are not held up.',
  poisonRecordDo: 'Send the poison record',
  pauseTitle: 'Pause the projection',
  pauseText:
    'Records wait in the topic, reads go on with older balances. It ends with the process, at the ' +
    'latest.',
  pauseDo: 'Pause',
  resumeTitle: 'Resume the projection',
  resumeText: 'It continues at the stored offset: nothing is lost, and nothing is applied twice.',
  resumeDo: 'Resume',
  rebuildTitle: 'Rebuild the read model',
  rebuildText:
    'All balances are computed from the events a second time, compared, and swapped in, while reads ' +
    'go on.',
  rebuildDo: 'Start a rebuild',
  stopBrokerTitle: 'Stop the broker',
  stopBrokerText: 'Transfers go on: their events wait in the outbox of the wallet until the broker is back.',
  stopBrokerDo: 'Stop the broker',
  startBrokerTitle: 'Start the broker',
  startBrokerText: 'The relay publishes what waits, in order, and balances catches up.',
  startBrokerDo: 'Start the broker',
  killWalletTitle: 'Kill the wallet',
  killWalletText:
    'SIGKILL, in the middle of its work. What it has answered is kept; it is restarted at once.',
  killWalletDo: 'Kill the wallet',
  killBalancesTitle: 'Kill balances',
  killBalancesText:
    'SIGKILL. Rows and offset are one transaction, so it goes on where it was. This page reconnects.',
  killBalancesDo: 'Kill balances',
  reconcileTitle: 'Reconcile both sides',
  reconcileText:
    'Compares ledger, topics and read model entry by entry. It needs both databases, so it is a ' +
    'command of yours:',
  reconcileSee: 'Its last report',
} as const

const pt: Record<keyof typeof en, string> = {
  title: 'Experimente',
  intro:
    'Cada botão faz o que o seu comando faz e depois mostra o que causou. Nada aqui é simulação: ' +
    'acontece nos serviços que estão rodando.',
  startTour: 'Iniciar o tour de cinco passos',
  form: 'Contas e valor',
  from: 'De',
  to: 'Para',
  amount: 'Valor ({currency})',
  command: 'O mesmo como comando:',
  commandTwice: 'O mesmo como comando, para rodar duas vezes:',
  running: 'Executando …',
  at: 'Às {time}:',
  status: 'Status {status}',
  answer: 'Resposta',
  replayed: 'a primeira resposta foi repetida, e nada foi feito de novo',
  see: 'Ver o que causou',
  remedy: 'O que fazer:',
  expected: 'Esta recusa é o que o botão quer mostrar.',
  starting: 'As configurações do serviço ainda estão carregando.',
  noWallet:
    'O endereço da wallet não está configurado. Defina WALLET_PUBLIC_URL no balances, e o endereço ' +
    'desta página em CORS_ORIGINS da wallet.',
  noHold: 'Não há reserva aberta a partir desta página: faça uma primeiro.',
  actionsOff:
    'As ações do console estão desligadas aqui. Para uma demonstração, inicie o balances com ' +
    'CONSOLE_ACTIONS=true; npm start já faz isso. Quando houver chaves de API, é preciso uma com o ' +
    'escopo admin.',
  notLocal:
    'Só o npm start pode fazer isto: os processos são dele. Inicie o Saldo com npm start para ' +
    'experimentar.',
  moneyGroup: 'Dinheiro',
  projectionGroup: 'Modelo de leitura',
  recordsGroup: 'Registros',
  processesGroup: 'Processos',
  payTitle: 'Fazer uma transferência',
  payText: 'Uma gravação atômica na wallet, eventos pela outbox, e o balances acompanha.',
  payDo: 'Pagar',
  holdTitle: 'Fazer uma reserva',
  holdText: 'O valor fica reservado: o saldo continua igual, e menos fica disponível.',
  holdDo: 'Reservar',
  captureTitle: 'Capturar a reserva',
  captureText: 'O valor reservado é pago: a reserva vira uma transação, uma única vez.',
  captureDo: 'Capturar',
  sameKeyTitle: 'Enviar a mesma chave duas vezes',
  sameKeyText:
    'Como faz um cliente que ficou sem resposta. O dinheiro se move uma vez, e as respostas são iguais.',
  sameKeyDo: 'Enviar duas vezes',
  payOneselfTitle: 'Pagar a si mesmo',
  payOneselfText: 'Em muitas soluções isto cria dinheiro. Aqui é recusado.',
  payOneselfDo: 'Pagar a si mesmo',
  courseRecordTitle: 'Enviar o registro do próprio curso',
  courseRecordText:
    'Um registro sem chave, cabeçalhos e versões, como a wallet do curso escreve, sobre ana e bia. O ' +
    'reconcile vai citar as duas, que a wallet não tem.',
  courseRecordDo: 'Enviar o registro',
  poisonRecordTitle: 'Enviar um registro ilegível (poison)',
  poisonRecordText:
    'Um registro que ninguém consegue ler. Ele vira uma dead letter, e os que vêm depois não ficam ' +
    'parados.',
  poisonRecordDo: 'Enviar o registro ilegível',
  pauseTitle: 'Pausar a projeção',
  pauseText:
    'Registros esperam no tópico, e as leituras seguem com saldos mais antigos. Acaba com o processo,' +
    ' no máximo.',
  pauseDo: 'Pausar',
  resumeTitle: 'Retomar a projeção',
  resumeText: 'Continua no offset guardado: nada se perde, e nada é aplicado duas vezes.',
  resumeDo: 'Retomar',
  rebuildTitle: 'Reconstruir o modelo de leitura',
  rebuildText:
    'Todos os saldos são calculados de novo a partir dos eventos, comparados e trocados, sem parar as' +
    ' leituras.',
  rebuildDo: 'Iniciar a reconstrução',
  stopBrokerTitle: 'Parar o broker',
  stopBrokerText: 'As transferências continuam: os eventos esperam na outbox da wallet até o broker voltar.',
  stopBrokerDo: 'Parar o broker',
  startBrokerTitle: 'Iniciar o broker',
  startBrokerText: 'O relay publica o que espera, em ordem, e o balances alcança.',
  startBrokerDo: 'Iniciar o broker',
  killWalletTitle: 'Matar a wallet',
  killWalletText: 'SIGKILL, no meio do trabalho. O que ela respondeu fica guardado; é reiniciada em seguida.',
  killWalletDo: 'Matar a wallet',
  killBalancesTitle: 'Matar o balances',
  killBalancesText:
    'SIGKILL. Linhas e offset são uma só transação, então continua de onde estava. Esta página ' +
    'reconecta.',
  killBalancesDo: 'Matar o balances',
  reconcileTitle: 'Reconciliar os dois lados',
  reconcileText:
    'Compara ledger, tópicos e modelo de leitura, lançamento por lançamento. Precisa dos dois bancos,' +
    ' por isso é um comando seu:',
  reconcileSee: 'O último relatório',
}

export const tryMessages = { en, pt }
