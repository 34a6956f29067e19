//! The one TLS stack: rustls on ring.

/// Before the first connection of a library that brings no cryptography of its own.
pub fn ready() {
    // Whoever was first has installed the same.
    drop(rustls::crypto::ring::default_provider().install_default());
}
