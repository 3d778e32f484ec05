-- Admins look for events by type, and for the few that failed among the many that did not.

CREATE INDEX provider_events_of_type ON provider_events (type, received_at DESC, id DESC);
CREATE INDEX provider_events_failed ON provider_events (received_at DESC, id DESC) WHERE status = 'FAILED';
