-- What must not grow for ever is forgotten in batches; each kind is found by its age.

-- The payload goes before the event does, but never from one that may yet be applied.
ALTER TABLE provider_events
    ALTER COLUMN payload DROP NOT NULL,
    ADD CONSTRAINT provider_events_payload_until_settled CHECK (
        payload IS NOT NULL OR status IN ('APPLIED', 'IGNORED'));

-- Without what has lost its payload already, which is most of the table.
CREATE INDEX provider_events_with_payload ON provider_events (received_at)
    WHERE payload IS NOT NULL AND status IN ('APPLIED', 'IGNORED');

CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL;
