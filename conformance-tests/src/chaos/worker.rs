use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{CaseResult, Cx, Failure, child};

/// How long a worker may take to stop in order.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who can be paused with all that they do, killed, and stopped in order.
pub(crate) enum Worker {
    /// In this process; a pause is as by SIGSTOP: nothing of it goes on.
    Task { gate: Arc<Gate>, stop: Box<dyn FnOnce() + Send>, task: JoinHandle<CaseResult> },
    /// In a process of its own.
    Process { child: Box<Child>, input: Input, output: JoinHandle<()>, pauser: Option<Box<Child>> },
}

impl Worker {
    /// One that runs in this process until `stop` was called.
    pub(crate) fn task(
        run: impl Future<Output = CaseResult> + Send + 'static,
        stop: impl FnOnce() + Send + 'static,
    ) -> Self {
        let gate = Arc::new(Gate::default());
        let run = Gated { gate: gate.clone(), inner: Box::pin(run) };
        Self::Task { gate, stop: Box::new(stop), task: tokio::spawn(run) }
    }

    /// One that runs a [child's program](child::Program) until its standard input ends. What it prints in lines that hold
    /// `@@` is handed over, from there on, together with its standard input.
    pub(crate) fn process(
        cx: &Cx,
        program: &str,
        arguments: &str,
        mut heard: impl FnMut(&str, &Input) + Send + 'static,
    ) -> CaseResult<Self> {
        let mut child = child::spawn(cx, program, arguments)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| Failure::new("the child has no pipes"))?;
        let input = Input::to(stdin);
        let answers = input.clone();
        let output = tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, note)) = line.split_once("@@") {
                    heard(note, &answers);
                }
            }
        });
        Ok(Self::Process { child: Box::new(child), input, output, pauser: None })
    }

    /// Nothing of it goes on from here.
    pub(crate) async fn pause(&mut self) -> CaseResult {
        match self {
            Self::Task { gate, .. } => gate.closed.store(true, Ordering::SeqCst),
            Self::Process { child, pauser, .. } => *pauser = Some(Box::new(pause(child).await?)),
        }
        Ok(())
    }

    /// It goes on as if nothing had been.
    pub(crate) async fn resume(&mut self) -> CaseResult {
        match self {
            Self::Task { gate, .. } => {
                gate.closed.store(false, Ordering::SeqCst);
                gate.waker.wake();
            }
            Self::Process { pauser, .. } => {
                if let Some(mut pauser) = pauser.take() {
                    drop(pauser.stdin.take());
                    pauser.wait().await?;
                }
            }
        }
        Ok(())
    }

    /// It is gone at once; a failure if it was before.
    pub(crate) async fn kill(self) -> CaseResult {
        match self {
            Self::Task { task, .. } => {
                task.abort();
                match task.await {
                    Err(error) if error.is_cancelled() => Ok(()),
                    ended => Err(Failure::new(format!("a worker had ended by itself: {ended:?}"))),
                }
            }
            Self::Process { mut child, output, .. } => {
                if let Some(status) = child.try_wait()? {
                    return Err(Failure::new(format!("a worker had ended by itself: {status}")));
                }
                child.kill().await?;
                Ok(output.await?)
            }
        }
    }

    /// It ends in order, and all is well.
    pub(crate) async fn stop(self) -> CaseResult {
        match self {
            Self::Task { stop, task, .. } => {
                stop();
                timeout(PATIENCE, task).await??
            }
            Self::Process { mut child, input, output, .. } => {
                input.end();
                let status = timeout(PATIENCE, child.wait()).await??;
                output.await?;
                if status.success() {
                    Ok(())
                } else {
                    Err(Failure::new(format!("a worker failed: {status}")))
                }
            }
        }
    }
}

/// The standard input of a process.
#[derive(Clone)]
pub(crate) struct Input(mpsc::UnboundedSender<Option<String>>);

impl Input {
    fn to(mut stdin: ChildStdin) -> Self {
        let (sender, mut lines) = mpsc::unbounded_channel::<Option<String>>();
        tokio::spawn(async move {
            while let Some(Some(line)) = lines.recv().await {
                // Whoever reads it may have been killed.
                let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
            }
        });
        Self(sender)
    }

    pub(crate) fn say(&self, line: String) {
        let _ = self.0.send(Some(line));
    }

    fn end(&self) {
        let _ = self.0.send(None);
    }
}

/// Sends SIGSTOP, and sends SIGCONT when its own standard input ends: so nobody stays paused when this process is gone.
async fn pause(child: &Child) -> CaseResult<Child> {
    let pid = child.id().ok_or_else(|| Failure::new("a worker had ended by itself"))?;
    let script =
        r#"trap "" HUP INT QUIT TERM; kill -STOP "$0" && echo; cat >/dev/null; kill -CONT "$0" 2>/dev/null"#;
    let mut pauser = Command::new("/bin/sh")
        .args(["-c", script, &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    if let Some(stdout) = pauser.stdout.take() {
        let stopped = BufReader::new(stdout).lines().next_line().await?;
        stopped.ok_or_else(|| Failure::new("a worker can't be paused"))?;
    }
    Ok(pauser)
}

/// Whether a task may go on.
#[derive(Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    waker: AtomicWaker,
}

struct Gated<F> {
    gate: Arc<Gate>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.gate.waker.register(context.waker());
        if self.gate.closed.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.inner.as_mut().poll(context)
    }
}
