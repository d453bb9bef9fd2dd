// Tables of a study on 1,000 devices of 125 nodes: what images weigh, what takes the time, and what would help.
#pragma once

namespace finetune::testing {

/// Sizes of images, and the seconds of 1,000 and 8,000 of them over one link.
void print_images();
/// Shares of the time by model, scheduler, trials and link, as src/remote works and as it could. Half a minute.
void print_network();

}  // namespace finetune::testing
