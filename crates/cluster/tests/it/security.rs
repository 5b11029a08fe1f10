//! Encrypted connections and logins.

use std::time::Duration;

use asbackup_cluster::{
    Auth, Cluster, ClusterConfig, Error, ErrorKind, Identity, Seed, Tls, TlsConfig, TlsVersions,
};
use asbackup_codec::wire::ResultCode;
use asbackup_testserver::{
    Certificates, Clients, Command, Fault, FaultAction, SampleRecords, TestServer, TestServerBuilder,
};
use secrecy::SecretSlice;

use crate::support::{all, read, spec, stored};

const RECORDS: u64 = 200;

fn loaded(builder: TestServerBuilder) -> TestServer {
    let server = builder.namespace("test").start().unwrap();
    server.store().load("test", SampleRecords { count: RECORDS, record_bytes: 200 });
    server
}

fn config(server: &TestServer) -> ClusterConfig {
    let address = server.address();
    let mut config = ClusterConfig::new([Seed::new(address.ip().to_string(), address.port())]);
    // What these tests ask must not mix with what is asked in the background.
    config.refresh_interval = Duration::from_secs(3600);
    config
}

fn secret(text: &str) -> SecretSlice<u8> {
    text.as_bytes().to_vec().into()
}

fn internal(user: &str, password: &str) -> Option<Auth> {
    Some(Auth::internal(user, &secret(password)).unwrap())
}

async fn check_reads_all(server: &TestServer, config: ClusterConfig) -> Cluster {
    let cluster = Cluster::connect(config).await.unwrap();
    let mut query = cluster.query(spec(), all());
    assert_eq!(read(&mut query).await.unwrap(), stored(server));
    cluster
}

async fn refusal(config: ClusterConfig) -> Error {
    Cluster::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn user_logs_in_once_for_each_node() {
    let server = loaded(TestServer::builder().nodes(2).user("me", "pass"));
    let mut config = config(&server);
    config.auth = internal("me", "pass");
    check_reads_all(&server, config).await;
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn refused_logins_say_why() {
    let server = loaded(TestServer::builder().user("me", "pass"));
    for (auth, kind, message) in [
        (
            internal("me", "wrong"),
            ResultCode::BAD_CREDENTIAL,
            "the server refuses the login: 65 bad credential",
        ),
        (internal("you", "pass"), ResultCode::UNKNOWN_USER, "the server refuses the login: 60 unknown user"),
    ] {
        let mut config = config(&server);
        config.auth = auth;
        let error = refusal(config).await;
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Server(kind), false));
        assert_eq!(error.to_string(), format!("{message} (node {})", server.address()));
    }
    let error = refusal(config(&server)).await;
    assert_eq!(error.to_string(), format!("the server asks for a login (node {})", server.address()));
    assert_eq!(error.kind(), ErrorKind::Server(ResultCode::NOT_AUTHENTICATED));
}

#[tokio::test]
async fn login_that_nobody_asks_for_is_an_error_or_left_out() {
    let server = loaded(TestServer::builder());
    let mut config = config(&server);
    config.auth = internal("me", "pass");
    let error = refusal(config.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Server(ResultCode::SECURITY_NOT_SUPPORTED));
    let not_enabled = FaultAction::ErrorCode(ResultCode::SECURITY_NOT_ENABLED);
    server.faults().add(Fault::new(Command::Security, not_enabled).times(u64::MAX));
    check_reads_all(&server, config).await;
}

#[tokio::test]
async fn session_that_the_server_forgot_is_replaced() {
    let server = loaded(TestServer::builder().user("me", "pass"));
    let mut config = config(&server);
    config.auth = internal("me", "pass");
    let cluster = check_reads_all(&server, config).await;
    assert_eq!(server.logins(), 1);
    server.end_sessions();
    // A connection of its own, beside the one that is idle.
    let mut first = cluster.query(spec(), all()[..2048].to_vec());
    let mut second = cluster.query(spec(), all()[2048..].to_vec());
    let (first, second) = tokio::join!(read(&mut first), read(&mut second));
    assert_eq!(first.unwrap().union(&second.unwrap()).count() as u64, RECORDS);
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn session_that_is_over_is_renewed_before_it_is_used() {
    // Half of no time: over at once, so that each connection logs in, and none is used twice.
    let server = loaded(TestServer::builder().user("me", "pass").session_ttl_s(0));
    let mut config = config(&server);
    config.auth = internal("me", "pass");
    let cluster = check_reads_all(&server, config).await;
    assert_eq!(server.logins(), 2);
    cluster.refresh().await.unwrap();
    assert_eq!(server.logins(), 3);
}

#[tokio::test]
async fn silent_login_ends_at_its_timeout() {
    let server = loaded(TestServer::builder().user("me", "pass"));
    server.faults().add(Fault::new(Command::Security, FaultAction::HoldAfter(0)));
    let mut config = config(&server);
    config.auth = internal("me", "pass");
    config.login_timeout = Duration::from_millis(1);
    let error = refusal(config).await;
    assert_eq!(error.to_string(), format!("no answer to the login within 1ms (node {})", server.address()));
}

fn trusting(certificates: &Certificates) -> TlsConfig {
    TlsConfig::new([certificates.authority().into_bytes()])
}

fn encrypted(certificates: &Certificates, clients: Clients) -> TestServerBuilder {
    let server = certificates.server(&["db.test"], clients, rustls::ALL_VERSIONS);
    TestServer::builder().tls(server, "db.test")
}

fn with_tls(server: &TestServer, tls: &TlsConfig) -> ClusterConfig {
    let mut config = config(server);
    config.tls = Some(Tls::new(tls).unwrap());
    config.tls_name = Some("db.test".to_owned());
    config
}

#[tokio::test]
async fn nodes_are_read_over_tls_of_each_version() {
    let certificates = Certificates::new();
    let server = loaded(encrypted(&certificates, Clients::Any).nodes(2));
    for versions in [TlsVersions::Both, TlsVersions::Tls12, TlsVersions::Tls13] {
        let mut tls = trusting(&certificates);
        tls.versions = versions;
        let mut config = with_tls(&server, &tls);
        // The other node tells its name itself.
        config.tls_name = None;
        config.seeds[0].tls_name = Some("db.test".to_owned());
        let cluster = check_reads_all(&server, config).await;
        assert_eq!(cluster.nodes().len(), 2);
        // An idle connection is used again although TLS may have sent what isn't data.
        cluster.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn server_that_is_not_trusted_is_refused() {
    let (ours, theirs) = (Certificates::new(), Certificates::new());
    let server = loaded(encrypted(&ours, Clients::Any));
    let mut other_name = with_tls(&server, &trusting(&ours));
    other_name.tls_name = Some("other.test".to_owned());
    for config in [with_tls(&server, &trusting(&theirs)), other_name] {
        let error = refusal(config).await;
        assert_eq!((error.kind(), error.is_retryable(), error.reason()), (ErrorKind::Tls, false, "tls"));
        assert!(error.to_string().starts_with("no TLS connection to a server with the name "), "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with("invalid peer certificate: "), "{cause}");
    }
    let mut config = with_tls(&server, &trusting(&ours));
    config.tls_name = Some("no name".to_owned());
    assert_eq!(refusal(config).await.kind(), ErrorKind::Input);
}

#[tokio::test]
async fn passwords_and_certificates_log_in_over_tls() {
    let certificates = Certificates::new();
    let server =
        loaded(encrypted(&certificates, Clients::Certified).user("me", "pass").external_user("ext", "word"));
    let client = certificates.sign(&["client.test"]);
    let mut tls = trusting(&certificates);
    tls.identity = Some(Identity {
        certificates: client.certificate.into_bytes(),
        key: client.key.into_bytes().into(),
        password: None,
    });
    for auth in
        [internal("me", "pass"), Some(Auth::external("ext", secret("word")).unwrap()), Some(Auth::pki())]
    {
        let mut config = with_tls(&server, &tls);
        config.auth = auth;
        check_reads_all(&server, config).await;
    }
    let mut config = with_tls(&server, &tls);
    config.auth = internal("ext", "word");
    assert_eq!(refusal(config).await.kind(), ErrorKind::Server(ResultCode::BAD_CREDENTIAL));
}

#[tokio::test]
async fn what_would_go_in_the_clear_is_refused_before_anything_is_sent() {
    let certificates = Certificates::new();
    let tls = Tls::new(&trusting(&certificates)).unwrap();
    for (auth, tls, message) in [
        (
            Auth::external("me", secret("pass")).unwrap(),
            None,
            "a password for external authentication is sent over TLS only",
        ),
        (Auth::pki(), None, "authentication by certificate needs TLS"),
        (Auth::pki(), Some(tls), "authentication by certificate needs a client certificate"),
    ] {
        let mut config = ClusterConfig::new([Seed::new("127.0.0.1", 1)]);
        (config.auth, config.tls) = (Some(auth), tls);
        assert_eq!(config.check().unwrap_err().to_string(), message);
        let error = refusal(config).await;
        assert_eq!((error.to_string().as_str(), error.kind()), (message, ErrorKind::Input));
    }
}

#[test]
fn tls_that_cannot_be_set_up_says_what_is_wrong() {
    let certificates = Certificates::new();
    let (one, other) = (certificates.sign(&["a.test"]), certificates.sign(&["b.test"]));
    let with = |certificate: &str, key: &str| {
        let mut config = trusting(&certificates);
        let certificates = certificate.as_bytes().to_vec();
        config.identity = Some(Identity { certificates, key: secret(key), password: None });
        config
    };
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (config, message) in [
        (TlsConfig::new([]), "no CA certificate is given"),
        (TlsConfig::new([b"text".to_vec()]), "no CA certificate is given"),
        (
            TlsConfig::new([b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec()]),
            "CA certificates aren't PEM",
        ),
        (
            TlsConfig::new([b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()]),
            "CA certificate is damaged",
        ),
        (with("", &one.key), "client certificate is missing"),
        (with(&one.certificate, ""), "client key isn't PEM"),
        (with(&one.certificate, encrypted), "client key is encrypted with a password, and none is given"),
        (with(&one.certificate, &other.key), "client certificate and key can't be used"),
    ] {
        let error = Tls::new(&config).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (message, ErrorKind::Input));
    }
}
