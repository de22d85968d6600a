ALTER TABLE "large_movements" ADD COLUMN "leg" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "large_movements" DROP CONSTRAINT "large_movements_pkey";--> statement-breakpoint
ALTER TABLE "large_movements" ADD CONSTRAINT "large_movements_pkey" PRIMARY KEY("transaction_id","leg");
