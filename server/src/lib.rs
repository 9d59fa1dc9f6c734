//! The program: listeners, sessions, delivery, administration.

pub mod admin;
pub mod auth;
pub mod cli;
pub mod config;
pub mod connection;
pub mod deliver;
pub mod delivery;
pub mod listen;
pub mod lmtp;
pub mod log;
pub(crate) mod memory;
pub mod message;
pub mod observe;
pub mod ops;
pub mod pool;
mod private;
pub mod problem;
pub mod refused;
pub mod serve;
pub mod service;
pub mod session;
pub mod tls;
pub mod tunnel;
pub mod up;
