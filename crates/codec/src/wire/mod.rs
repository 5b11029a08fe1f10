//! The protocol between client and server.
