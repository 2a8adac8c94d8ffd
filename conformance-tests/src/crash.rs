//! Writers in processes of their own, and their sudden end.

use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::witness::{History, Recorder};
use crate::workload::Workload;
use crate::{CaseResult, Cx, Failure, child};

/// A child process that runs a workload on the case's log.
pub(crate) struct WritingChild {
    child: Child,
    output: JoinHandle<std::io::Result<Vec<u8>>>,
    bytes: watch::Receiver<usize>,
}

impl WritingChild {
    /// Starts one: its writers have this name, there are so many of them, and each appends so often.
    pub(crate) fn start(cx: &Cx, name: &str, writers: u64, appends: usize) -> CaseResult<Self> {
        let mut child = child::spawn(cx, "workload", &format!("{name},{writers},{appends}"))?;
        let mut pipe = child.stdout.take().ok_or_else(|| Failure::new("the child has no output"))?;
        let (count, bytes) = watch::channel(0);
        let output = tokio::spawn(async move {
            let mut output = Vec::new();
            while pipe.read_buf(&mut output).await? > 0 {
                count.send_replace(output.len());
            }
            Ok(output)
        });
        Ok(Self { child, output, bytes })
    }

    /// Waits until it has written for some time.
    pub(crate) async fn is_writing(&mut self) -> CaseResult {
        self.bytes
            .wait_for(|bytes| *bytes > 20_000)
            .await
            .map_err(|_| Failure::new("the child ended early"))?;
        Ok(())
    }

    /// Kills it where it stands (SIGKILL), and tells what it had done and been told.
    pub(crate) async fn kill(mut self) -> CaseResult<History> {
        self.child.kill().await?;
        Ok(History::from_journal(&self.output.await??)?)
    }

    /// Waits until it has done all it was told to.
    pub(crate) async fn finish(mut self) -> CaseResult<History> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        let output = self.output.await??;
        if !status.success() {
            return Err(Failure::new(format!("the child failed: {}", tail_of(&output))));
        }
        Ok(History::from_journal(&output)?)
    }
}

/// A child's program: the workload that it was told to run.
pub(crate) async fn run_workload(cx: Cx) -> CaseResult {
    let arguments = child::arguments();
    let fault = || Failure::new(format!("not a name and two numbers: {arguments}"));
    let [name, writers, appends] = arguments.split(',').collect::<Vec<_>>()[..] else { return Err(fault()) };
    let (writers, appends) = (writers.parse().map_err(|_| fault())?, appends.parse().map_err(|_| fault())?);
    let recorder = Recorder::with_journal(std::io::stdout());
    let workload = Workload::new(&cx, &recorder).named(name).writers(writers).appends(appends).readers(1);
    workload.among_others().run(cx.store()).await
}

/// The last lines that are not the journal's.
fn tail_of(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with("@@")).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
