//! The PostgreSQL server process of an instance, and what is applied inside it.
