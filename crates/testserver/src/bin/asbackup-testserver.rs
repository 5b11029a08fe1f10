//! An Aerospike-compatible server to try things out with. It keeps everything in memory.

use std::io::{self, Write as _};

use asbackup_testserver::{SampleRecords, TestServer, measure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Serves namespaces from memory until it gets SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one, and the address is printed.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: String,
    /// Number of nodes, 1 to 8; all but the first listen on free ports.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=8), default_value_t = 1)]
    nodes: u8,
    /// Name of a namespace; may be repeated.
    #[arg(long = "namespace", value_name = "NAME", default_value = "test")]
    namespaces: Vec<String>,
    /// Number of sample records in the first namespace.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    load: u64,
    /// Size of a sample record on the wire.
    #[arg(long, value_name = "BYTES", default_value_t = 400)]
    record_bytes: usize,
    /// Print the CPU time that serving took at the end.
    #[arg(long)]
    cpu_report: bool,
    /// Measure how many records a second of CPU time serves, and end.
    #[arg(long, hide = true)]
    measure: bool,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let builder =
        args.namespaces.iter().fold(TestServer::builder(), |builder, name| builder.namespace(name.as_str()));
    let server = builder.address(args.address).nodes(usize::from(args.nodes)).start()?;
    let samples = SampleRecords { count: args.load, record_bytes: args.record_bytes };
    server.store().load(&args.namespaces[0], samples);
    if args.measure {
        return writeln!(io::stdout(), "{}", measure::run(&server, &args.namespaces[0])?);
    }
    announce_and_wait(&server)?;
    if args.cpu_report {
        writeln!(io::stderr(), "cpu of the serving threads: {:.3} s", measure::server_cpu()?.as_secs_f64())?;
    }
    Ok(())
}

/// Prints the address once both a client and a signal would be noticed, and returns on a signal.
fn announce_and_wait(server: &TestServer) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        writeln!(io::stdout(), "{}", server.address())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
