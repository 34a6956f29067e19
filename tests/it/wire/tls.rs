//! TLS at both ends of a wire: to the near end it is the server itself, by the server's own certificate and key.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::http::Ends;

/// Neither end is offered another protocol, so that both speak HTTP/1.1.
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// By what the server shows and what it keeps, as PEM; `ca` signed it.
    pub fn of(chain: &str, key: &str, ca: &str) -> Tls {
        let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("certificates")
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let server = server.expect("versions").with_no_client_auth().with_single_cert(certificates(chain), key);
        let mut roots = RootCertStore::empty();
        certificates(ca).into_iter().for_each(|ca| roots.add(ca).expect("a certificate that signs"));
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.expect("versions").with_root_certificates(roots).with_no_client_auth();
        Tls { server: Arc::new(server.expect("the key fits")), client: Arc::new(client) }
    }

    pub fn accept(&self, stream: TcpStream) -> io::Result<Box<dyn Ends>> {
        let session = ServerConnection::new(self.server.clone()).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }

    pub fn connect(&self, stream: TcpStream) -> io::Result<Box<dyn Ends>> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let session = ClientConnection::new(self.client.clone(), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }
}
