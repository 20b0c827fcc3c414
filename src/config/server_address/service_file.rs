//! `pg_service.conf`: connections under a name, as libpq reads them.

use std::path::{Path, PathBuf};

/// Why a service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("could not read the service file \"{file}\"")]
    Read { file: String, source: std::io::Error },
    #[error("there is no service \"{service}\" in {}", .files.join(" or "))]
    Unknown { service: String, files: Vec<String> },
    #[error("{file}:{line}: expected an option and its value, such as host=db.example")]
    Line { file: String, line: usize },
}

/// The options of a service: of the file that is named, else of the user's, else of the system's.
pub fn read(service: &str, file: Option<&Path>) -> Result<Vec<(String, String)>, ServiceError> {
    let files = match file {
        Some(file) => vec![file.to_owned()],
        None => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let own = home.map(|home| home.join(".pg_service.conf"));
            let folder = std::env::var_os("PGSYSCONFDIR").map(PathBuf::from);
            let system = folder.unwrap_or_else(|| PathBuf::from("/etc/postgresql-common"));
            own.into_iter().chain([system.join("pg_service.conf")]).collect()
        }
    };
    for path in &files {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                continue;
            }
            Err(source) => return Err(ServiceError::Read { file: shown, source }),
        };
        if let Some(found) = section(service, &shown, &text)? {
            return Ok(found);
        }
    }
    let files = files.iter().map(|file| file.display().to_string()).collect();
    Err(ServiceError::Unknown { service: service.to_owned(), files })
}

fn section(
    service: &str,
    file: &str,
    text: &str,
) -> Result<Option<Vec<(String, String)>>, ServiceError> {
    let (mut found, mut is_ours) = (None, false);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_ours = found.is_none() && name == service;
            if is_ours {
                found = Some(Vec::new());
            }
        } else if let (true, Some(options)) = (is_ours, &mut found) {
            let Some((key, value)) = line.split_once('=') else {
                return Err(ServiceError::Line { file: file.to_owned(), line: index + 1 });
            };
            options.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}
