DROP INDEX tasks_finished;
DROP INDEX sessions_by_expiry;
DROP INDEX provider_events_with_payload;
ALTER TABLE provider_events DROP CONSTRAINT provider_events_payload_until_settled;
-- What is gone can't come back; JSON's null says so.
UPDATE provider_events SET payload = 'null' WHERE payload IS NULL;
ALTER TABLE provider_events ALTER COLUMN payload SET NOT NULL;
