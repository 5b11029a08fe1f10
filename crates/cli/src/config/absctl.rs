//! The keys of absctl that no flag of ours stands for yet. A file that only repeats absctl's defaults for them is fine.

use super::yaml::Value;

/// What to do about a key that no flag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is a key of absctl with the value that means nothing.
    Unset,
    /// It is a key of absctl that asks for something.
    Unsupported,
    /// It is no key.
    Unknown,
}

/// Returns what to do about a key that no flag has.
pub(super) fn standing(key: &str, value: &Value) -> Standing {
    let Some((_, default)) = KEYS.iter().find(|(known, _)| *known == key) else { return Standing::Unknown };
    let is_default = match value {
        Value::Null => true,
        Value::Bool(value) => *default == value.to_string(),
        Value::Text(text) => text.is_empty() || default.eq_ignore_ascii_case(text) || means_unset(key, text),
        Value::List(items) => items.is_empty(),
        Value::Map(_) => false,
    };
    if is_default { Standing::Unset } else { Standing::Unsupported }
}

/// Returns whether a value of a flag's key is absctl's way to say that it isn't given.
pub(super) fn means_unset(key: &str, text: &str) -> bool {
    text == "0" && ZERO_IS_UNSET.contains(&key)
}

/// Keys whose 0 says: as many as there are CPUs, or the usual one. Their flags take no 0.
const ZERO_IS_UNSET: [&str; 2] = ["restore.parallel", "secret-agent.port"];

/// absctl's keys that had no flag when this was written, with its defaults. A flag with the same key comes first.
pub(super) const KEYS: [(&str, &str); 112] = [
    ("cluster.user", ""),
    ("cluster.password", ""),
    ("cluster.auth", "INTERNAL"),
    ("cluster.client-idle-timeout", "0"),
    ("cluster.client-login-timeout", "10000"),
    ("cluster.tls.enable", "false"),
    ("cluster.tls.protocols", "+TLSv1.2"),
    ("cluster.tls.cafile", ""),
    ("cluster.tls.capath", ""),
    ("cluster.tls.certfile", ""),
    ("cluster.tls.keyfile", ""),
    ("cluster.tls.keyfile-password", ""),
    ("backup.output-file", ""),
    ("backup.output-file-prefix", ""),
    ("backup.remove-artifacts", "false"),
    ("backup.set-list", ""),
    ("backup.bin-list", ""),
    ("backup.partition-list", ""),
    ("backup.after-digest", ""),
    ("backup.node-list", ""),
    ("backup.rack-list", ""),
    ("backup.prefer-racks", ""),
    ("backup.modified-after", ""),
    ("backup.modified-before", ""),
    ("backup.no-ttl-only", "false"),
    ("backup.filter-exp", ""),
    ("backup.max-records", "0"),
    ("backup.no-bins", "false"),
    ("backup.records-per-second", "0"),
    ("backup.bandwidth", "0"),
    ("backup.total-timeout", "0"),
    ("backup.estimate", "false"),
    ("backup.estimate-samples", "10000"),
    ("backup.state-file-dst", ""),
    ("backup.continue", ""),
    ("backup.scan-page-size", "10000"),
    ("backup.std-buffer", "4"),
    ("restore.directory-list", ""),
    ("restore.parent-directory", ""),
    ("restore.records-per-second", "0"),
    ("restore.bandwidth", "0"),
    ("restore.warm-up", "0"),
    ("restore.std-buffer", "4"),
    ("compression.compress", "NONE"),
    ("compression.level", "3"),
    ("encryption.encrypt", "NONE"),
    ("encryption.key-file", ""),
    ("encryption.key-env", ""),
    ("encryption.key-secret", ""),
    ("secret-agent.connection-type", "TCP"),
    ("secret-agent.address", ""),
    ("secret-agent.port", "0"),
    ("secret-agent.timeout", "10000"),
    ("secret-agent.ca-file", ""),
    ("secret-agent.cert-file", ""),
    ("secret-agent.key-file", ""),
    ("secret-agent.tls-name", ""),
    ("secret-agent.is-base64", "false"),
    ("aws.s3.bucket-name", ""),
    ("aws.s3.region", ""),
    ("aws.s3.profile", ""),
    ("aws.s3.endpoint-override", ""),
    ("aws.s3.access-key-id", ""),
    ("aws.s3.secret-access-key", ""),
    ("aws.s3.storage-class", ""),
    ("aws.s3.chunk-size", "50"),
    ("aws.s3.upload-concurrency", "0"),
    ("aws.s3.calculate-checksum", "false"),
    ("aws.s3.tier", ""),
    ("aws.s3.restore-poll-duration", "60000"),
    ("aws.s3.retry-read-backoff", "1000"),
    ("aws.s3.retry-read-multiplier", "2"),
    ("aws.s3.retry-read-max-attempts", "3"),
    ("aws.s3.retry-max-attempts", "10"),
    ("aws.s3.retry-max-backoff", "90000"),
    ("aws.s3.max-conns-per-host", "0"),
    ("aws.s3.request-timeout", "600000"),
    ("gcp.storage.key-path", ""),
    ("gcp.storage.bucket-name", ""),
    ("gcp.storage.endpoint-override", ""),
    ("gcp.storage.chunk-size", "50"),
    ("gcp.storage.calculate-checksum", "false"),
    ("gcp.storage.retry-max-attempts", "10"),
    ("gcp.storage.retry-max-backoff", "90000"),
    ("gcp.storage.retry-init-backoff", "60000"),
    ("gcp.storage.retry-backoff-multiplier", "2"),
    ("gcp.storage.retry-read-backoff", "1000"),
    ("gcp.storage.retry-read-multiplier", "2"),
    ("gcp.storage.retry-read-max-attempts", "3"),
    ("gcp.storage.max-conns-per-host", "0"),
    ("gcp.storage.request-timeout", "600000"),
    ("azure.blob.account-name", ""),
    ("azure.blob.account-key", ""),
    ("azure.blob.tenant-id", ""),
    ("azure.blob.client-id", ""),
    ("azure.blob.client-secret", ""),
    ("azure.blob.endpoint", ""),
    ("azure.blob.container-name", ""),
    ("azure.blob.access-tier", ""),
    ("azure.blob.rehydrate-poll-duration", "60000"),
    ("azure.blob.block-size", "50"),
    ("azure.blob.upload-concurrency", "1"),
    ("azure.blob.calculate-checksum", "false"),
    ("azure.blob.retry-max-attempts", "10"),
    ("azure.blob.retry-delay", "60000"),
    ("azure.blob.retry-max-delay", "90000"),
    ("azure.blob.retry-read-backoff", "1000"),
    ("azure.blob.retry-read-multiplier", "2"),
    ("azure.blob.retry-read-max-attempts", "3"),
    ("azure.blob.max-conns-per-host", "0"),
    ("azure.blob.request-timeout", "600000"),
    ("local.disk.buffer-size", "4"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_for_something_is_unsupported() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (key, value, standing) in [
            ("aws.s3.chunk-size", text("50"), Standing::Unset),
            ("aws.s3.chunk-size", text("51"), Standing::Unsupported),
            ("aws.s3.region", text(""), Standing::Unset),
            ("aws.s3.region", text("eu"), Standing::Unsupported),
            ("aws.s3.calculate-checksum", Value::Bool(false), Standing::Unset),
            ("aws.s3.calculate-checksum", Value::Bool(true), Standing::Unsupported),
            ("aws.s3.tier", Value::Null, Standing::Unset),
            ("aws.s3.tier", Value::Map(Vec::new()), Standing::Unsupported),
            ("aws.s3.colour", text("red"), Standing::Unknown),
        ] {
            assert_eq!(super::standing(key, &value), standing, "{key}: {value:?}");
        }
    }
}
