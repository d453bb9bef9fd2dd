// The loop of serve: whatever has arrived while a pack was computed is taken, in order, before the next one is chosen.
#pragma once

#include "cli/unix_socket.h"
#include "host/serve/serve_session.h"

namespace finetune {

/// Of stdin and stdout where `socket` is null: ends when stdin has, and all of it is answered. Ends also after
/// shutdown, and after Ctrl-C or SIGTERM, once requests under way, which the session's engine ends between two passes,
/// and those that wait are answered with an error. Gives the exit code. Needs an InterruptGuard.
int serve_clients(ServeSession& session, const UnixSocket* socket);

}  // namespace finetune
