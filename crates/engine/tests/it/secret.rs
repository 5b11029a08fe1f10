//! Secrets from an agent: a real one as far as its protocol goes, which answers what a test tells it to.

use std::{fmt::Debug, path::Path, sync::Arc, time::Duration};

use asbackup::{
    AgentAddress, AgentTls, Identity, SecretAgent, SecretEncoding, SecretErrorCause as Cause, SecretName,
    Tls, TlsConfig,
};
use asbackup_testserver::{Certificates, Clients};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// The request of each test, as the peer's client sends it.
const REQUEST: &[u8] = b"\x51\xde\xc1\xcc\x00\x00\x00\x27{\"Resource\":\"backup\",\"SecretKey\":\"key\"}";

/// Checks the request and answers it.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: Vec<u8>) {
    let mut request = vec![0; REQUEST.len()];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request, REQUEST);
    stream.write_all(&reply).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Returns a frame around a body.
fn frame(body: &str) -> Vec<u8> {
    let bytes = u32::try_from(body.len()).unwrap();
    [&[0x51, 0xde, 0xc1, 0xcc][..], &bytes.to_be_bytes(), body.as_bytes()].concat()
}

fn name() -> SecretName {
    SecretName::parse("secrets:backup:key").unwrap().unwrap()
}

fn tcp(port: u16, tls: Option<AgentTls>) -> SecretAgent {
    SecretAgent::new(AgentAddress::Tcp { host: "127.0.0.1".to_owned(), port, tls })
}

/// Starts an agent that hands out one secret, once; returns its port, and the task that it lives in.
pub(crate) async fn answering_agent(secret: &str) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reply = frame(&serde_json::json!({ "SecretValue": secret }).to_string());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { answer(listener.accept().await.unwrap().0, reply).await });
    (port, tasks)
}

/// Asks an agent that gives this reply over TCP.
async fn ask(reply: Vec<u8>, encoding: SecretEncoding) -> Result<Vec<u8>, Cause> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut agent = tcp(listener.local_addr().unwrap().port(), None);
    agent.encoding = encoding;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { answer(listener.accept().await.unwrap().0, reply).await });
    secret(&agent).await
}

async fn secret(agent: &SecretAgent) -> Result<Vec<u8>, Cause> {
    match agent.secret(&name()).await {
        Ok(secret) => Ok(secret.expose_secret().to_vec()),
        Err(error) => Err(error.cause),
    }
}

/// Returns the message of an error and of what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[track_caller]
fn check_failed(result: Result<impl Debug, Cause>, expected: &str) {
    assert_eq!(chain(&result.unwrap_err()), expected);
}

#[tokio::test]
async fn secret_is_taken_as_it_is_or_decoded() {
    let reply = frame(r#"{"Version":1,"SecretValue":" aGVsbG8= "}"#);
    assert_eq!(ask(reply, SecretEncoding::Plain).await.unwrap(), b" aGVsbG8= ");
    let reply = frame(r#"{"SecretValue":"aGVsbG8="}"#);
    assert_eq!(ask(reply, SecretEncoding::Base64).await.unwrap(), b"hello");
    assert_eq!(ask(frame("{}"), SecretEncoding::Plain).await.unwrap(), b"");
    let reply = frame(r#"{"SecretValue":"?"}"#);
    check_failed(ask(reply, SecretEncoding::Base64).await, "secret isn't base64");
}

#[tokio::test]
async fn replies_that_are_no_secret_are_errors() {
    let mut long = frame("");
    long[4..].copy_from_slice(&(16_u32 * 1024 * 1024 + 1).to_be_bytes());
    for (reply, expected) in [
        (frame(r#"{"Error":"no such key","SecretValue":"x"}"#), "the agent says: no such key"),
        (
            b"HTTP/1.1".to_vec(),
            "reply begins with [48, 54, 54, 50], it must begin with [51, de, c1, cc]: this is no secret agent",
        ),
        (long, "reply of 16777217 bytes, the limit is 16777216"),
        (frame("{"), "reply isn't JSON with a SecretValue or an Error (line 1, column 1)"),
        (
            frame(r#"{"SecretValue":1}"#),
            "reply isn't JSON with a SecretValue or an Error (line 1, column 16)",
        ),
        (frame("{}")[..9].to_vec(), "the connection broke: unexpected end of file"),
        (Vec::new(), "the connection broke: early eof"),
    ] {
        check_failed(ask(reply, SecretEncoding::Plain).await, expected);
    }
}

#[tokio::test]
async fn unix_socket_leads_to_the_agent_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    let agent = SecretAgent::new(AgentAddress::Unix(path.clone()));
    let mut tasks = JoinSet::new();
    let reply = frame(r#"{"SecretValue":"s"}"#);
    tasks.spawn(async move { answer(listener.accept().await.unwrap().0, reply).await });
    assert_eq!(secret(&agent).await.unwrap(), b"s");
}

#[tokio::test]
async fn agent_that_is_not_there_is_named() {
    let nobody = SecretAgent::new(AgentAddress::Unix(Path::new("/nowhere/agent").to_owned()));
    let error = nobody.secret(&name()).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "no secret secrets:backup:key from the secret agent at /nowhere/agent: no connection: \
         No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut agent = tcp(listener.local_addr().unwrap().port(), None);
    agent.timeout = Duration::from_millis(1);
    check_failed(secret(&agent).await, "no reply within 1ms");
}

/// Asks an agent over TLS whose certificate is for `server.test`.
async fn ask_encrypted(config: TlsConfig, ours: &Certificates, tls_name: &str) -> Result<Vec<u8>, Cause> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = AgentTls { tls: Tls::new(&config).unwrap(), name: Some(tls_name.to_owned()) };
    let agent = tcp(listener.local_addr().unwrap().port(), Some(tls));
    let server = ours.server(&["server.test"], Clients::Certified, rustls::ALL_VERSIONS);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(stream) = TlsAcceptor::from(Arc::clone(&server)).accept(stream).await {
            answer(stream, frame(r#"{"SecretValue":"s"}"#)).await;
        }
    });
    secret(&agent).await
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_name_alone() {
    let (ours, theirs) = (Certificates::new(), Certificates::new());
    let client = ours.sign(&["client.test"]);
    let identity = Identity {
        certificates: client.certificate.into_bytes(),
        key: client.key.into_bytes().into(),
        password: None,
    };
    let config = |authority: &Certificates| {
        let mut config = TlsConfig::new([authority.authority().into_bytes()]);
        config.identity = Some(identity.clone());
        config
    };
    assert_eq!(ask_encrypted(config(&ours), &ours, "server.test").await.unwrap(), b"s");
    for (config, tls_name) in [(config(&theirs), "server.test"), (config(&ours), "other.test")] {
        let error = ask_encrypted(config, &ours, tls_name).await.unwrap_err();
        assert!(matches!(&error, Cause::Tls(_)), "{error:?}");
        assert!(chain(&error).starts_with(&format!(
            "no encrypted connection: no TLS connection to a server with the name {tls_name:?}: invalid peer certificate: "
        )), "{}", chain(&error));
    }
    // The server takes no client without a certificate, which it says behind the handshake of TLS 1.3.
    let error = ask_encrypted(TlsConfig::new([ours.authority().into_bytes()]), &ours, "server.test").await;
    assert!(matches!(error.unwrap_err(), Cause::Broken(_)));
}
