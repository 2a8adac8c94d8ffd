use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Error;

/// The address of the Docker daemon, looked for where testcontainers looks: `DOCKER_HOST`, then the usual sockets.
pub(crate) fn find() -> String {
    if let Ok(host) = env::var("DOCKER_HOST") {
        return host;
    }
    let directory = |variable: &str| env::var_os(variable).map(PathBuf::from);
    let sockets = [
        Some(PathBuf::from("/var/run/docker.sock")),
        directory("XDG_RUNTIME_DIR").map(|path| path.join(".docker/run/docker.sock")),
        directory("HOME").map(|path| path.join(".docker/run/docker.sock")),
        directory("HOME").map(|path| path.join(".docker/desktop/docker.sock")),
    ];
    let socket = sockets.into_iter().flatten().find(|path| path.exists());
    format!("unix://{}", socket.unwrap_or_else(|| "/var/run/docker.sock".into()).display())
}

/// The command that removes the container `name` with its volumes: by Docker's client, else by `curl`, since a machine may
/// have a daemon and no client.
pub(crate) fn remove_command(host: &str, name: &str) -> Result<Vec<OsString>, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if has("docker") {
        let arguments = ["docker", "--host", host, "rm", "--force", "--volumes", name];
        return Ok(arguments.map(OsString::from).into());
    }
    if has("curl") && env::var_os("DOCKER_TLS_VERIFY").is_none() {
        return curl(host, name);
    }
    Err(Error::new(
        "a Docker daemon answers, but neither `docker` nor `curl` is on PATH, so nothing could remove the container if \
         the tests were killed",
    ))
}

fn curl(host: &str, name: &str) -> Result<Vec<OsString>, Error> {
    let request = ["curl", "--silent", "--fail", "--request", "DELETE"].map(OsString::from);
    let path = format!("/containers/{name}?force=true&v=true");
    let address = if let Some(socket) = host.strip_prefix("unix://") {
        vec!["--unix-socket".into(), Path::new(socket).into(), format!("http://docker{path}").into()]
    } else if let Some(address) = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) {
        vec![format!("http://{}{path}", address.trim_end_matches('/')).into()]
    } else {
        return Err(Error::new(format!(
            "cannot remove a container at {host} with curl: install Docker's client"
        )));
    };
    Ok(request.into_iter().chain(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curl_knows_sockets_and_loopback_addresses() {
        let command = |host| curl(host, "name").map(|words| words.join(std::ffi::OsStr::new(" "))).ok();
        let path = "/containers/name?force=true&v=true";
        let request = "curl --silent --fail --request DELETE";
        assert_eq!(
            command("unix:///run/docker.sock"),
            Some(format!("{request} --unix-socket /run/docker.sock http://docker{path}").into())
        );
        assert_eq!(
            command("tcp://127.0.0.1:2375"),
            Some(format!("{request} http://127.0.0.1:2375{path}").into())
        );
        assert_eq!(command("ssh://elsewhere"), None);
    }
}
