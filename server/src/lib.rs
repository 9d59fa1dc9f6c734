//! The program: listeners, sessions, delivery, administration.

pub mod auth;
pub mod cli;
pub mod config;
pub mod connection;
pub mod delivery;
pub mod listen;
pub mod lmtp;
pub mod log;
pub mod message;
pub mod problem;
pub mod service;
pub mod session;
pub mod tls;
