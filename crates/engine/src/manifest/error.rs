//! Why a manifest, or a side file, can't be believed.

/// What is wrong with the text of a manifest or a side file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DocumentError {
    /// It isn't JSON, or a key is missing, there twice or of another type.
    #[error("is damaged")]
    Syntax(#[from] serde_json::Error),
    /// It is larger than any that this program reads.
    #[error("is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
    /// It isn't UTF-8.
    #[error("is damaged: it isn't UTF-8")]
    NotText,
    /// It says that it is something else.
    #[error("has the format {found:?}, not {expected:?}")]
    Format {
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// It is of a version that this program doesn't know.
    #[error("has version {found}; this program knows version {known}, a later one may know both")]
    Version {
        /// Its version.
        found: u64,
        /// The one that is known.
        known: u64,
    },
    /// Its bytes aren't those that were sealed.
    #[error("is damaged: its seal is {found:?}, but its bytes give {computed:?}")]
    Seal {
        /// The seal that it carries.
        found: String,
        /// The one that belongs to its bytes.
        computed: String,
    },
    /// It was sealed with a key, and doesn't fit the one at hand.
    #[error(
        "doesn't fit the encryption key: it is damaged, or another key or cipher (AES128, AES256) belongs to it"
    )]
    KeyedSeal,
    /// It was sealed with a key, and none is at hand.
    #[error("belongs to an encrypted backup, and no key is given")]
    KeyMissing,
    /// A key is at hand, but it was sealed without.
    #[error("belongs to a backup that isn't encrypted, but an encryption key is given")]
    KeyUnused,
    /// It hashes in a way that this program doesn't know.
    #[error("uses the hash {found:?}, which this program can't check")]
    Hash {
        /// The name of the hash.
        found: String,
    },
    /// It contradicts itself.
    #[error("contradicts itself: {what}")]
    Contradiction {
        /// In what.
        what: String,
    },
}
