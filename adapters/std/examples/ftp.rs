//! FTP with suppaftp over our streams: a file of an anonymous server, on standard output.
//!
//! ```text
//! cargo run -p starttls-std --example ftp -- ftp.example.org 21 ca.pem README
//! ```
//!
//! suppaftp takes a TLS of the caller's for the control connection and for each data connection. On
//! the first we negotiate, on the others TLS begins with the first octet (RFC 4217 §7).

mod common;

use std::env;
use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use starttls::protocol::{ClientMachine, FTP, Implicit, ftp};
use starttls::tls::ClientTls;
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpResult, ImplFtpStream, Status, TlsConnector, TlsStream};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, ca_file, file] = &arguments[..] else {
        return Err("usage: ftp HOST PORT CA-FILE FILE".into());
    };
    let contents = retrieve(host, port.parse()?, common::trusting(ca_file)?, file)?;
    io::stdout().write_all(&contents)?;
    Ok(())
}

/// The contents of a file, encrypted all the way.
fn retrieve(host: &str, port: u16, tls: ClientTls, file: &str) -> FtpResult<Vec<u8>> {
    // The crate calls this one implicit: all it means is that it says nothing itself before
    // `Upgrading` did its part.
    let upgrading = Upgrading { tls, control: AtomicBool::new(true) };
    let mut ftp = ImplFtpStream::connect_secure_implicit((host, port), upgrading, host)?;
    // Nothing protects files until this is said (RFC 4217 §9).
    ftp.custom_command("PBSZ 0", &[Status::CommandOk])?;
    ftp.custom_command("PROT P", &[Status::CommandOk])?;
    ftp.login("anonymous", "anonymous@")?;
    ftp.transfer_type(FileType::Binary)?;
    let contents = ftp.retr_as_buffer(file)?.into_inner();
    ftp.quit()?;
    Ok(contents)
}

/// Our side of the boundary: it is given sockets and gives back streams on which the server has
/// proved by its certificate that it is the host.
#[derive(Debug)]
struct Upgrading {
    tls: ClientTls,
    /// The next connection is the control connection.
    control: AtomicBool,
}

impl TlsConnector for Upgrading {
    type Stream = Secured;

    fn connect(&self, host: &str, transport: TcpStream) -> FtpResult<Secured> {
        let control = self.control.swap(false, Ordering::Relaxed);
        let machine: ClientMachine<'static> = match control {
            true => Box::new(ftp::Client::new()),
            // With the same configuration, and so resuming the session of the control connection:
            // servers take that for the proof that both are of the same client.
            false => Box::new(Implicit::client(&FTP)),
        };
        // The server's own greeting was plaintext and is gone, and it does not greet again; suppaftp
        // waits for one all the same.
        let greeting = if control { &b"220 inside TLS\r\n"[..] } else { b"" };
        let stream = starttls_std::connect(transport, machine, &self.tls, host)
            .map_err(|error| FtpError::SecureError(format!("{error}")))?;
        Ok(Secured { greeting, stream })
    }
}

/// A connection inside TLS.
struct Secured {
    greeting: &'static [u8],
    stream: starttls_std::Stream<TcpStream, ClientMachine<'static>>,
}

impl TlsStream for Secured {
    type InnerStream = Self;

    fn tcp_stream(self) -> FtpResult<TcpStream> {
        Err(FtpError::SecureError("there is no way back to plaintext".into()))
    }

    fn get_ref(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    fn mut_ref(&mut self) -> &mut Self {
        self
    }
}

impl Read for Secured {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.greeting.read(buf)? {
            0 => self.stream.read(buf),
            n => Ok(n),
        }
    }
}

impl Write for Secured {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// suppaftp ends an upload by dropping the stream, and the server has to see that it is the end.
impl Drop for Secured {
    fn drop(&mut self) {
        let _ = self.stream.close_write();
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}
