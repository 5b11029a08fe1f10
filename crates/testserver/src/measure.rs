//! How fast the server is: records per second of its CPU time, so that a busy machine doesn't blur the number.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use asbackup_codec::wire::{
    ExistsRule, FRAME_BYTES, GenerationRule, HEADER_BYTES, QueryRequest, WriteRules, begin_batch, encode_row,
    end_batch, info3, monitor_set_filter, patch_row, ttl,
};
use asbackup_model::PartitionId;

use crate::server::{THREAD_NAME, TestServer};

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// Records in the namespace.
    pub records: u64,
    /// CPU time of the serving threads for one scan of all of them.
    pub scan_cpu: Duration,
    /// CPU time for writing all of them again in batches, after they were removed.
    pub batch_cpu: Duration,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
        let rate = |cpu: Duration| self.records as f64 / cpu.as_secs_f64() / 1e6;
        let (scan, batch) = (rate(self.scan_cpu), rate(self.batch_cpu));
        write!(f, "scan: {scan:.2} M records per CPU second; batch writes: {batch:.2} M rows per CPU second")
    }
}

/// Scans a namespace, empties it and writes it all again, over one connection each, with a client that does no more than it must.
///
/// # Errors
/// If a connection fails, or the system doesn't say how much CPU time the threads took.
pub fn run(server: &TestServer, namespace: &str) -> io::Result<Measurement> {
    let batches = batches(server, namespace);
    let before = server_cpu()?;
    scan(server, namespace)?;
    let records = server.store().record_count(namespace);
    server.store().truncate(namespace);
    let between = server_cpu()?;
    write(server, &batches)?;
    let after = server_cpu()?;
    Ok(Measurement { records, scan_cpu: between - before, batch_cpu: after - between })
}

/// Returns the CPU time of this process's serving threads so far.
///
/// # Errors
/// If the system doesn't say it (it does on Linux).
pub fn server_cpu() -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() != THREAD_NAME {
            continue;
        }
        let text = std::fs::read_to_string(task.join("schedstat"))?;
        let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
        total += Duration::from_nanos(nanoseconds.ok_or(io::ErrorKind::InvalidData)?);
    }
    Ok(total)
}

/// Reads a whole scan without looking at it.
fn scan(server: &TestServer, namespace: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(server.address())?;
    let request = QueryRequest {
        namespace: namespace.as_bytes(),
        from_start: PartitionId::all().collect(),
        filter: Some(monitor_set_filter()),
        ..QueryRequest::default()
    };
    let mut out = Vec::new();
    request.encode(&mut out);
    stream.write_all(&out)?;
    read_to_last(&mut stream, &mut out)
}

/// Writes batches and reads their answers.
fn write(server: &TestServer, batches: &[Vec<u8>]) -> io::Result<()> {
    let mut stream = TcpStream::connect(server.address())?;
    let mut answer = Vec::new();
    for batch in batches {
        stream.write_all(batch)?;
        read_to_last(&mut stream, &mut answer)?;
    }
    Ok(())
}

/// Reads frames up to the one that holds nothing but the last message.
fn read_to_last(stream: &mut TcpStream, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut head = [0; FRAME_BYTES];
        stream.read_exact(&mut head)?;
        let [.., a, b, c, d] = head;
        body.resize(u32::from_be_bytes([a, b, c, d]) as usize, 0);
        stream.read_exact(body)?;
        if body.len() == HEADER_BYTES && body[INFO3_AT] & info3::LAST != 0 {
            return Ok(());
        }
    }
}

/// Makes batches that write every record.
fn batches(server: &TestServer, namespace: &str) -> Vec<Vec<u8>> {
    let rules = WriteRules { exists: ExistsRule::Update, generation: GenerationRule::Ignore };
    let (mut batches, mut batch, mut rows) = (Vec::new(), Vec::new(), 0);
    server.store().for_each_record(namespace, |record| {
        if rows == 0 {
            begin_batch(&mut batch, 0);
        }
        let start = batch.len();
        encode_row(&mut batch, record, namespace.as_bytes(), rules);
        patch_row(&mut batch[start..], rows, ttl::NEVER);
        rows += 1;
        if rows == ROWS {
            end_batch(&mut batch, 0, rows);
            batches.push(std::mem::take(&mut batch));
            rows = 0;
        }
    });
    if rows > 0 {
        end_batch(&mut batch, 0, rows);
        batches.push(batch);
    }
    batches
}

const ROWS: u32 = 1000;
const INFO3_AT: usize = 3;
