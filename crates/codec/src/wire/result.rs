//! Result codes. Source: docs/format/wire.md, "Result codes".

use std::fmt;

/// What the server says became of a request, a row or a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(pub u8);

macro_rules! codes {
    ($($constant:ident = $number:literal $name:literal)*) => {
        #[expect(missing_docs, reason = "the names say all there is to say")]
        impl ResultCode {
            $(pub const $constant: Self = Self($number);)*
        }

        const fn name(code: u8) -> &'static str {
            match code {
                $($number => $name,)*
                _ => "unknown_code",
            }
        }
    };
}

// A macro, so that a code, its constant and its name can't fall apart.
codes! {
    OK = 0 "ok"
    SERVER_ERROR = 1 "server_error"
    NOT_FOUND = 2 "not_found"
    GENERATION = 3 "generation"
    PARAMETER = 4 "parameter"
    EXISTS = 5 "exists"
    BIN_EXISTS = 6 "bin_exists"
    CLUSTER_KEY_MISMATCH = 7 "cluster_key_mismatch"
    OUT_OF_SPACE = 8 "out_of_space"
    TIMEOUT = 9 "timeout"
    ALWAYS_FORBIDDEN = 10 "always_forbidden"
    UNAVAILABLE = 11 "unavailable"
    BIN_TYPE = 12 "bin_type"
    RECORD_TOO_BIG = 13 "record_too_big"
    KEY_BUSY = 14 "key_busy"
    QUERY_ABORTED = 15 "query_aborted"
    UNSUPPORTED = 16 "unsupported"
    BIN_NOT_FOUND = 17 "bin_not_found"
    DEVICE_OVERLOAD = 18 "device_overload"
    KEY_MISMATCH = 19 "key_mismatch"
    NAMESPACE = 20 "namespace"
    BIN_NAME = 21 "bin_name"
    FORBIDDEN = 22 "forbidden"
    ELEMENT_NOT_FOUND = 23 "element_not_found"
    ELEMENT_EXISTS = 24 "element_exists"
    ENTERPRISE_ONLY = 25 "enterprise_only"
    OP_NOT_APPLICABLE = 26 "op_not_applicable"
    FILTERED_OUT = 27 "filtered_out"
    LOST_CONFLICT = 28 "lost_conflict"
    XDR_KEY_BUSY = 32 "xdr_key_busy"
    SECURITY_NOT_SUPPORTED = 51 "security_not_supported"
    SECURITY_NOT_ENABLED = 52 "security_not_enabled"
    SECURITY_SCHEME = 53 "security_scheme"
    SECURITY_COMMAND = 54 "security_command"
    SECURITY_FIELD = 55 "security_field"
    ILLEGAL_STATE = 56 "illegal_state"
    UNKNOWN_USER = 60 "unknown_user"
    BAD_PASSWORD = 62 "bad_password"
    EXPIRED_PASSWORD = 63 "expired_password"
    FORBIDDEN_PASSWORD = 64 "forbidden_password"
    BAD_CREDENTIAL = 65 "bad_credential"
    EXPIRED_SESSION = 66 "expired_session"
    NOT_AUTHENTICATED = 80 "not_authenticated"
    ROLE_VIOLATION = 81 "role_violation"
    NOT_WHITELISTED = 82 "not_whitelisted"
    QUOTA_EXCEEDED = 83 "quota_exceeded"
    BATCH_DISABLED = 150 "batch_disabled"
    BATCH_TOO_LARGE = 151 "batch_too_large"
    BATCH_QUEUES_FULL = 152 "batch_queues_full"
    GEOJSON = 160 "geojson"
    INDEX_EXISTS = 200 "index_exists"
    INDEX_NOT_FOUND = 201 "index_not_found"
    INDEX_MEMORY = 202 "index_memory"
    INDEX_NOT_READABLE = 203 "index_not_readable"
    INDEX_GENERIC = 204 "index_generic"
    INDEX_NAME = 205 "index_name"
    INDEX_COUNT = 206 "index_count"
}

impl ResultCode {
    /// Returns the name for reports, such as `record_too_big`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        name(self.0)
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.name().split('_').try_for_each(|word| write!(f, " {word}"))
    }
}

impl fmt::Debug for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
