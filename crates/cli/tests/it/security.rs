//! Encrypted connections, logins, and values from elsewhere, from the flag to the exit code.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    thread,
};

use asbackup_testserver::{Certificates, Clients, TestServer};

use crate::{
    jobs::{RECORDS, at, fill},
    tool::{Ran, asbackup, asrestore, run},
};

const LOGIN: &str = "-U me -P pass";

fn with_user() -> TestServer {
    fill(TestServer::builder().user("me", "pass").external_user("ext", "pass"))
}

fn back_up(mut command: Command, server: &TestServer, flags: &str, dir: &Path) -> Ran {
    command.env("KEYS_PASSWORD", "pass").env("KEYS_PASSWORD_B64", "cGFzcw==");
    run(command, &format!("{} -n test -d {{}}/out -r --log-level error {flags}", at(server)), dir)
}

/// Backs up and restores with these flags, and compares the counts.
fn check_round_trip(server: &TestServer, flags: &str, dir: &Path) {
    back_up(asbackup(), server, flags, dir).expect(0);
    let restore = format!("{} -n test,copy -d {{}}/out --log-level error {flags}", at(server));
    run(asrestore(), &restore, dir).expect(0);
    assert_eq!(server.store().record_count("copy"), RECORDS);
}

#[test]
fn password_comes_from_where_it_is_kept() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("password"), "pass\n").unwrap();
    for password in
        ["pass", "env:KEYS_PASSWORD", "env-b64:KEYS_PASSWORD_B64", "b64:cGFzcw==", "file:{}/password"]
    {
        back_up(asbackup(), &server, &format!("-U me -P {password}"), dir.path()).expect(0);
    }
    let restore =
        format!("{} -n test,copy -d {{}}/out --user me --password pass --auth internal", at(&server));
    run(asrestore(), &restore, dir.path()).expect(0);
    assert_eq!(server.store().record_count("copy"), RECORDS);
}

#[test]
fn refused_logins_are_5_and_say_why() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    for (flags, text) in [
        ("-U me -P wrong", "the server refuses the login: 65 bad credential"),
        ("-U you -P pass", "the server refuses the login: 60 unknown user"),
        ("", "the server asks for a login"),
    ] {
        let ran = back_up(asbackup(), &server, flags, dir.path()).expect(5);
        ran.says(&["error: cannot connect to the cluster", text, "hint: check --user"]);
    }
    server.end_sessions();
    back_up(asbackup(), &server, LOGIN, dir.path()).expect(0);
}

#[test]
fn values_that_cannot_be_had_are_2_and_name_their_flag() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    let tls = "--tls-enable --tls-cafile";
    for (flags, texts) in [
        ("-U me -P env:KEYS_NOWHERE", &["--password can't be used", "KEYS_NOWHERE"][..]),
        ("-U me -P env-b64:KEYS_NOWHERE", &["--password can't be used", "KEYS_NOWHERE"]),
        ("-U me -P b64:!", &["--password can't be used: it isn't base64"]),
        ("-U me -P file:{}/nothing", &["--password can't be used", "nothing can't be read"]),
        ("-U me -P secrets:r:k", &["--password can't be used: no secret agent is known", "--sa-address"]),
        ("-U secrets:r", &["--user can't be used", "secrets:RESOURCE:KEY"]),
        ("-U me", &["--user without a password"]),
        ("-U me -P", &["there is no terminal"]),
        ("-P pass", &["--user"]),
        ("-A EXTERNAL", &["--auth EXTERNAL without a user"]),
        ("-A EXTERNAL -U ext -P pass", &["--auth can't be used", "sent over TLS only"]),
        ("-A PKI", &["--auth can't be used", "needs TLS"]),
        ("-A PKI -U me", &["--auth PKI has no --user"]),
        ("--tls-enable", &["TLS can't be set up", "no CA certificate is given", "--tls-cafile"]),
        (&format!("{tls} {{}}/nothing"), &["--tls-cafile can't be used", "nothing can't be read"]),
        ("--tls-enable --tls-capath {}/nothing", &["--tls-capath can't be read"]),
        (&format!("{tls} b64:AAAA --tls-protocols SSLv3"), &["SSLv3 isn't safe"]),
        ("--tls-certfile x", &["--tls-keyfile"]),
        ("--sa-address host", &["--sa-address can't be used: it names no port", "--sa-port"]),
        ("--sa-address /s --sa-connection-type unix --sa-port 1", &["neither a port nor TLS"]),
        ("--sa-address h:1 --sa-ca-file {}/nothing", &["--sa-ca-file can't be used"]),
        ("--sa-cert-file x", &["--sa-key-file"]),
        ("--sa-connection-type ipx", &["--sa-connection-type", "TCP, UNIX"]),
    ] {
        let ran = back_up(asbackup(), &server, flags, dir.path()).expect(2).says(texts);
        assert!(!ran.stderr.contains("cGFzcw"), "{ran:?}");
        assert!(!dir.path().join("out").exists(), "{flags}");
    }
}

fn write_pem(dir: &Path, certificates: &Certificates) {
    let client = certificates.sign(&["client.test"]);
    fs::create_dir_all(dir.join("cas")).unwrap();
    for (name, text) in [
        ("ca.pem", certificates.authority()),
        ("cas/ca.pem", certificates.authority()),
        ("client.pem", client.certificate),
        ("client.key", client.key),
        ("other.pem", Certificates::new().authority()),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

#[test]
fn jobs_run_over_tls_with_each_login() {
    let (certificates, dir) = (Certificates::new(), tempfile::tempdir().unwrap());
    write_pem(dir.path(), &certificates);
    let identity = "--tls-certfile {}/client.pem --tls-keyfile {}/client.key";
    for (ca, login) in [
        ("--tls-cafile {}/ca.pem --tls-protocols +TLSv1.2", LOGIN),
        ("--tls-capath {}/cas --tls-protocols +TLSv1.3", "-U ext -P pass -A external"),
        ("--tls-cafile file:{}/ca.pem", "-A pki"),
    ] {
        let config = certificates.server(&["db.test"], Clients::Certified, rustls::ALL_VERSIONS);
        let builder = TestServer::builder().nodes(2).tls(config, "db.test");
        let server = fill(builder.user("me", "pass").external_user("ext", "pass"));
        let flags = format!("--tls-enable --tls-name db.test {ca} {identity} {login}");
        check_round_trip(&server, &flags, dir.path());
    }
}

#[test]
fn client_key_with_a_password_is_used() {
    const KEY: &str = include_str!("../../../../testdata/keys/a_rsa_pkcs8.pem");
    const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys/encrypted_");
    let (certificates, dir) = (Certificates::new(), tempfile::tempdir().unwrap());
    write_pem(dir.path(), &certificates);
    fs::write(dir.path().join("client.pem"), certificates.sign_for(&["client.test"], KEY).certificate)
        .unwrap();
    fs::write(dir.path().join("password"), "pass-word\n").unwrap();
    let versions = rustls::ALL_VERSIONS;
    let config = certificates.server(&["db.test"], Clients::Certified, versions);
    let server = fill(TestServer::builder().tls(config, "db.test"));
    let tls = "--tls-enable --tls-name db.test --tls-cafile {}/ca.pem --tls-certfile {}/client.pem";
    let tls = |key: &str| format!("{tls} --tls-keyfile {KEYS}{key}.pem");
    let agent = format!("--sa-address 127.0.0.1:{}", agent(&[("password", "pass-word")]));
    for (key, password) in [
        ("pbkdf2_sha256_aes256", "pass-word"),
        ("pbkdf2_sha1_aes128", "b64:cGFzcy13b3Jk"),
        ("scrypt_aes256", "file:{}/password"),
        ("pbkdf2_sha256_aes256", "env:KEYFILE_PASSWORD"),
        ("pbkdf2_sha256_aes256", "env-b64:KEYFILE_PASSWORD_B64"),
        ("pbkdf2_sha256_aes256", "secrets:vault:password"),
    ] {
        let mut command = asbackup();
        command.env("KEYFILE_PASSWORD", "pass-word").env("KEYFILE_PASSWORD_B64", "cGFzcy13b3Jk");
        let flags = format!("{} --tls-keyfile-password {password} {agent}", tls(key));
        back_up(command, &server, &flags, dir.path()).expect(0);
    }
    for (flags, words) in [
        (tls("scrypt_aes256"), "encrypted with a password, and none is given"),
        (format!("{} --tls-keyfile-password hunter2", tls("scrypt_aes256")), "the password is wrong"),
        (tls("traditional"), "openssl pkcs8 -topk8"),
    ] {
        let ran = back_up(asbackup(), &server, &flags, dir.path()).expect(2);
        let ran = ran.says(&["TLS can't be set up", words, "--tls-keyfile-password"]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn server_that_is_not_trusted_is_5() {
    let (certificates, dir) = (Certificates::new(), tempfile::tempdir().unwrap());
    write_pem(dir.path(), &certificates);
    let versions = &[&rustls::version::TLS12];
    let server =
        fill(TestServer::builder().tls(certificates.server(&["db.test"], Clients::Any, versions), "db.test"));
    for (flags, text) in [
        ("--tls-cafile {}/other.pem --tls-name db.test", "invalid peer certificate"),
        ("--tls-cafile {}/ca.pem --tls-name other.test", "invalid peer certificate"),
        ("--tls-cafile {}/ca.pem", "with the name \"127.0.0.1\""),
        ("--tls-cafile {}/ca.pem --tls-name db.test --tls-protocols TLSv1.3", "received fatal alert"),
    ] {
        let ran = back_up(asbackup(), &server, &format!("--tls-enable {flags}"), dir.path()).expect(5);
        ran.says(&["error: cannot connect to the cluster", text, "hint: check --tls-cafile"]);
    }
}

/// Starts a secret agent that gives the values of keys, and returns its port. It ends with the test.
fn agent(values: &'static [(&'static str, &'static str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), values);
        }
    });
    port
}

/// Answers one request of a client.
fn answer(mut stream: impl Read + Write, values: &[(&str, &str)]) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize];
    stream.read_exact(&mut body).unwrap();
    let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let found = values.iter().find(|(key, _)| request["SecretKey"] == **key);
    let reply = match found {
        Some((_, value)) => serde_json::json!({ "SecretValue": value }),
        None => serde_json::json!({ "Error": "no such key" }),
    };
    let reply = reply.to_string();
    let bytes = u32::try_from(reply.len()).unwrap().to_be_bytes();
    stream.write_all(&[&head[..4], &bytes, reply.as_bytes()].concat()).unwrap();
    stream.flush().unwrap();
}

#[test]
fn secret_agent_is_reached_over_tls() {
    let (certificates, dir) = (Certificates::new(), tempfile::tempdir().unwrap());
    write_pem(dir.path(), &certificates);
    let config = certificates.server(&["agent.test"], Clients::Certified, rustls::ALL_VERSIONS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // Whoever doesn't trust the other ends the handshake.
            while stream.conn.is_handshaking() && stream.conn.complete_io(&mut stream.sock).is_ok() {}
            if !stream.conn.is_handshaking() {
                answer(stream, &[("password", "pass")]);
            }
        }
    });
    let server = with_user();
    let identity = "--sa-cert-file {}/client.pem --sa-key-file {}/client.key";
    for (flags, code) in [
        (format!("--sa-ca-file {{}}/ca.pem --sa-tls-name agent.test {identity}"), 0),
        (format!("--sa-ca-file {{}}/other.pem --sa-tls-name agent.test {identity}"), 2),
        (format!("--sa-ca-file {{}}/ca.pem {identity}"), 2),
    ] {
        let flags = format!("-U me -P secrets:db:password --sa-address {address} {flags}");
        back_up(asbackup(), &server, &flags, dir.path()).expect(code);
    }
}

#[test]
fn secret_agent_is_reached_through_a_unix_socket() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    let listener = UnixListener::bind(dir.path().join("agent")).unwrap();
    thread::spawn(move || answer(listener.accept().unwrap().0, &[("password", "pass")]));
    let flags = "-U me -P secrets:db:password --sa-connection-type unix --sa-address {}/agent";
    back_up(asbackup(), &server, flags, dir.path()).expect(0);
}

#[test]
fn secret_agent_that_is_silent_is_2() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let flags = format!("-U me -P secrets:db:password --sa-address {address} --sa-timeout 50");
    let ran = back_up(asbackup(), &server, &flags, dir.path()).expect(2);
    ran.says(&["--password can't be used: the secret can't be had", "50ms"]);
}

#[test]
fn secret_agent_knows_user_and_password() {
    let (server, dir) = (with_user(), tempfile::tempdir().unwrap());
    let port = agent(&[("user", "me"), ("password", "pass")]);
    let login = "-U secrets:db:user -P secrets:db:password";
    let flags = format!("{login} --sa-address 127.0.0.1 --sa-port {port} --sa-timeout 60000");
    back_up(asbackup(), &server, &flags, dir.path()).expect(0);
    let port = agent(&[("user", "bWU="), ("password", "cGFzcw==")]);
    let flags = format!("{login} --sa-address 127.0.0.1:{port} --sa-is-base64");
    back_up(asbackup(), &server, &flags, dir.path()).expect(0);
    let flags = format!("-U secrets:db:nobody -P pass --sa-address 127.0.0.1:{port}");
    let ran = back_up(asbackup(), &server, &flags, dir.path()).expect(2);
    ran.says(&[
        "--user can't be used: the secret can't be had",
        &format!("no secret secrets:db:nobody from the secret agent at 127.0.0.1:{port}"),
        "the agent says: no such key",
    ]);
}

#[test]
fn secret_agent_has_the_encryption_key() {
    const KEY: &str = include_str!("../../../../testdata/keys/a_rsa_pkcs8.pem");
    let (server, dir) = (fill(TestServer::builder()), tempfile::tempdir().unwrap());
    let values = &[("key", KEY), ("broken", "-----BEGIN nothing"), ("name", "KEY_OF_THE_BACKUP")];
    let agent = format!("--sa-address 127.0.0.1:{}", agent(values));
    let flags = format!("-y aes256 --encryption-key-secret secrets:vault:key {agent}");
    check_round_trip(&server, &flags, dir.path());
    run(asrestore(), &format!("--validate -d {{}}/out {flags}"), dir.path()).expect(0);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/keys/a_rsa_pkcs1.pem");
    let same_key = format!("--validate -d {{}}/out -y aes256 --encryption-key-file {path}");
    run(asrestore(), &same_key, dir.path()).expect(0);
    for flag in ["--encryption-key-file secrets:vault:key", "--encryption-key-env secrets:vault:name"] {
        let mut command = asrestore();
        command.env("KEY_OF_THE_BACKUP", KEY);
        run(command, &format!("--validate -d {{}}/out -y aes256 {flag} {agent}"), dir.path()).expect(0);
    }
    fs::write(
        dir.path().join("config.yaml"),
        "encryption: {encrypt: AES256, key-file: 'secrets:vault:key'}\n",
    )
    .unwrap();
    let by_file = format!("--validate -d {{}}/out --config {{}}/config.yaml {agent}");
    run(asrestore(), &by_file, dir.path()).expect(0);
    for (secret, text) in [("nothing", "the agent says: no such key"), ("broken", "holds no encryption key")]
    {
        let flags =
            format!("--validate -d {{}}/out -y aes256 --encryption-key-secret secrets:vault:{secret}");
        run(asrestore(), &format!("{flags} {agent}"), dir.path()).expect(2).says(&[text]);
    }
}
