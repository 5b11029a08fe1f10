//! What an incremental decoder answers.

/// What a decoder made of the front of its input.
///
/// The input always begins where the last `Done` ended, and holds everything that came since: an unfinished tail is
/// given again, with more behind it.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T, E> {
    /// One whole entry.
    Done {
        /// The entry.
        value: T,
        /// How many bytes of the input it took.
        used: usize,
    },
    /// The input is right so far, but ends within an entry. At least this many further bytes have to arrive before
    /// it makes sense to ask again. Never 0.
    Need(usize),
    /// The input breaks a rule of the format. Asking again gives the same answer.
    Damaged(E),
}
