//! The repositories of the domain on PostgreSQL, and the embedded migrations.
