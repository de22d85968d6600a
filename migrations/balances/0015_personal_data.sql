ALTER TABLE "clients" ALTER COLUMN "name" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "clients" DROP COLUMN "email";--> statement-breakpoint
ALTER TABLE "clients" DROP COLUMN "created_at";
--> statement-breakpoint
-- Dropped columns stay in the rows until these are written again.
CLUSTER "clients" USING "clients_pkey";
