DROP TABLE turns;
DROP INDEX refunds_under_way;
DROP INDEX checkout_attempts_unended;
