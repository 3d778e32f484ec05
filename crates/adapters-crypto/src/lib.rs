//! Password hashes, access tokens and refresh tokens behind the domain's account ports.
