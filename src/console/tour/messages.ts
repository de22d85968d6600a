/** Texts of the tour. */

const en = {
  label: 'Tour',
  offerTitle: 'The first time here?',
  offerText: 'Five steps show how money moves here, and what happens when something fails.',
  begin: 'Start the tour',
  notNow: 'Not now',
  progress: 'Step {step} of {steps}',
  back: 'Back',
  next: 'Next',
  finish: 'End the tour',
  close: 'Leave the tour',
  escape: 'Escape leaves the tour. The view “Try it” starts it again.',
  payTitle: 'Pay',
  payText:
    'Eva pays Frank 1. The wallet decides and writes it with its events in one statement: that is the' +
    ' outbox.',
  payDo: 'Pay 1',
  payDone: 'Paid. The wallet has answered before any event was published.',
  watchTitle: 'Watch the lane',
  watchText:
    'Each transfer is a lane: request, decision, append, outbox, topic, applied, visible. Between the' +
    ' hops stands the time it took. Pay again, and a new lane comes in.',
  watchDo: 'Pay again',
  watchDone: 'Paid: the new lane is on top.',
  whereTitle: 'Where is my money?',
  whereText:
    'The same transfer with its id: each hop with its place, and the one it waits at, if it does. The' +
    ' address can be shared.',
  whereEmpty: 'Make the payment of the first step, and its transfer is shown here.',
  pauseTitle: 'Pause the projection and see it wait',
  pauseText:
    'The projection stops reading, and a payment is made. The wallet does not notice: the event waits' +
    ' in the topic, and this view says what it waits for. Then let it go on.',
  pauseDo: 'Pause and pay',
  pauseDone: 'Paused and paid: it waits at the projection now.',
  resumeDo: 'Resume',
  resumeDone: 'Resumed: it is applied at the stored offset, and nothing is lost.',
  readTitle: 'Read your own write, and rebuild',
  readText:
    'A read right after a payment may be older than it. With the Consistency-Token of the payment it ' +
    'waits for its version. And since balances is made of events alone, it can be made a second time,' +
    ' while it serves.',
  readDo: 'Pay and read at once',
  readDone: 'Version {version} was asked for, and version {read} was read, after {time}.',
  rebuildDo: 'Start a rebuild',
  rebuildDone: 'The rebuild runs: the view below shows how far it is.',
  notPossible: 'This button is off: {reason}',
} as const

const pt: Record<keyof typeof en, string> = {
  label: 'Tour',
  offerTitle: 'É a primeira vez aqui?',
  offerText: 'Cinco passos mostram como o dinheiro se move aqui e o que acontece quando algo falha.',
  begin: 'Iniciar o tour',
  notNow: 'Agora não',
  progress: 'Passo {step} de {steps}',
  back: 'Voltar',
  next: 'Próximo',
  finish: 'Encerrar o tour',
  close: 'Sair do tour',
  escape: 'Escape sai do tour. A visão “Experimente” o inicia de novo.',
  payTitle: 'Pague',
  payText:
    'Eva paga 1 a Frank. A wallet decide e grava o pagamento com os eventos em um só comando: isto é ' +
    'a outbox.',
  payDo: 'Pagar 1',
  payDone: 'Pago. A wallet respondeu antes de qualquer evento ser publicado.',
  watchTitle: 'Observe a raia',
  watchText:
    'Cada transferência é uma raia: pedido, decisão, gravação, outbox, tópico, aplicado, visível. ' +
    'Entre os saltos está o tempo de cada um. Pague de novo, e uma nova raia chega.',
  watchDo: 'Pagar de novo',
  watchDone: 'Pago: a nova raia está no topo.',
  whereTitle: 'Onde está meu dinheiro?',
  whereText:
    'A mesma transferência pelo seu id: cada salto com o seu lugar, e aquele em que espera, se ' +
    'esperar. O endereço pode ser compartilhado.',
  whereEmpty: 'Faça o pagamento do primeiro passo, e a transferência aparece aqui.',
  pauseTitle: 'Pause a projeção e veja a espera',
  pauseText:
    'A projeção para de ler, e um pagamento é feito. A wallet não percebe: o evento espera no tópico,' +
    ' e esta visão diz o que ele espera. Depois deixe seguir.',
  pauseDo: 'Pausar e pagar',
  pauseDone: 'Pausada e pago: agora espera na projeção.',
  resumeDo: 'Retomar',
  resumeDone: 'Retomada: é aplicado a partir do offset guardado, e nada se perde.',
  readTitle: 'Leia o que escreveu, e reconstrua',
  readText:
    'Uma leitura logo depois de um pagamento pode ser mais antiga do que ele. Com o Consistency-Token' +
    ' do pagamento, ela espera a versão. E como o balances é feito só de eventos, pode ser feito uma ' +
    'segunda vez, enquanto atende.',
  readDo: 'Pagar e ler em seguida',
  readDone: 'A versão {version} foi pedida, e a versão {read} foi lida, em {time}.',
  rebuildDo: 'Iniciar a reconstrução',
  rebuildDone: 'A reconstrução está rodando: a visão abaixo mostra o andamento.',
  notPossible: 'Este botão está desligado: {reason}',
}

export const tourMessages = { en, pt }
