// The paths of a run: checked before anything is opened, and the output folder made.
#pragma once

#include <string>

#include "config/run_config.h"
#include "core/file_lock.h"

namespace finetune {

/// Paths in the order model, adapter, data, earlier studies, out. `out` is refused when it exists and is not empty,
/// unless `overwrite`, and when it cannot be made, which is tried beside it; nothing stays. `overwrite` replaces only
/// what this program has written, and nothing that the run reads. Throws Error (bad_input) naming the path.
void check_paths(const RunConfig& config, bool wants_out, bool overwrite);

/// A file or the files of a folder that a verb will write at its end. Throws Error (bad_input) naming `path` for one
/// that cannot be written.
void check_output_file(const std::string& key, const std::string& path);
void check_output_folder(const std::string& key, const std::string& path);

/// Creates the output folder, empty (with --overwrite what was there goes first). As long as the lock lives nobody else
/// writes there. Throws Error (bad_input).
FileLock make_out(const std::string& out, bool overwrite);

/// Takes everything out of the folder of a run but its lock. Throws Error.
void clear_out(const std::string& out);

/// The lock of a folder that is there; bad_input where another process has it, and keeps it for two seconds.
FileLock hold_folder(const std::string& out);

}  // namespace finetune
