DROP TABLE auth_known_addresses;
DROP TABLE auth_attempts;
