//! The HTTP contract: routes, request and response types, problems, authentication.
