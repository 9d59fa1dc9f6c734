//! The program: listeners, sessions, delivery, administration.

pub mod auth;
pub mod cli;
pub mod config;
pub mod message;
pub mod problem;
pub mod service;
pub mod tls;
