DROP INDEX provider_events_failed;
DROP INDEX provider_events_of_type;
