#include "network.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace finetune::testing {
namespace {

double sent(double images, double image, double bytes_per_second) {
  return images * image / bytes_per_second;
}

double count(std::int64_t n) {
  return static_cast<double>(n);
}

// The share of all time in which a failure is mended. What is lost gets its states over the link of one node.
double failing_share(const Network& network, const Failures& failures, double image, double redone,
                     const Traffic& most) {
  const double with_node = count(most.most_on_a_node), with_device = with_node / kDevicesOfANode;
  const double always = failures.stand_in + redone;
  return failures.devices_per_second * (always + sent(with_device, image, network.between)) +
         failures.nodes_per_second * (always + sent(with_node, image, network.between));
}

Traffic most_of(const std::vector<Round>& rounds) {
  Traffic most;
  for (const Round& round : rounds) {
    most.resident = std::max(most.resident, round.traffic.resident);
    most.most_on_a_node = std::max(most.most_on_a_node, round.traffic.most_on_a_node);
  }
  return most;
}

}  // namespace

std::int64_t adapter_parameters(const DecoderOptions& m, std::int64_t rank) {
  const std::int64_t attention = m.heads * m.head_dim, keys = m.kv_heads * m.head_dim;
  const std::int64_t q_and_o = 2 * (m.width + attention), k_and_v = 2 * (m.width + keys);
  return m.layers * rank * (q_and_o + k_and_v + 3 * (m.width + m.mlp_width));
}

double image_bytes(const DecoderOptions& model, std::int64_t rank) {
  constexpr double kBytes = 3 * sizeof(float);
  return kBytes * count(adapter_parameters(model, rank));
}

double best_seconds(const Network& network, Route route, double image, const Traffic& t) {
  return route == Route::driver ? sent(count(t.bests), image, network.between) : 0;
}

double moving_seconds(const Network& network, Route route, double image, const Traffic& t) {
  if (route == Route::driver) return sent(2 * count(t.within + t.between), image, network.between);
  return sent(count(t.within), image, network.within) + sent(count(t.most_of_a_node), image, network.between);
}

double keeping_seconds(const Network& network, Route route, double image, const Traffic& t) {
  return sent(count(route == Route::driver ? t.resident : t.most_on_a_node), image, network.between);
}

StudyCost study_cost(const Network& network, Route route, const Failures& failures, double image, std::int64_t every,
                     const std::vector<Round>& rounds) {
  StudyCost cost;
  std::int64_t number = 0;
  for (const Round& round : rounds) {
    cost.computing += round.computing;
    cost.decisions += round.decision;
    cost.messages += network.message_seconds * count(round.traffic.lanes);
    cost.bests += best_seconds(network, route, image, round.traffic);
    cost.moving += moving_seconds(network, route, image, round.traffic);
    if (++number % every == 0) cost.keeping += keeping_seconds(network, route, image, round.traffic);
  }
  const double without = cost.total(), mean = cost.computing / count(std::max<std::int64_t>(1, number));
  const Traffic most = most_of(rounds);
  const double share = failing_share(network, failures, image, count(every) / 2 * mean, most);
  cost.failing = share < 1 ? without * share / (1 - share) : std::numeric_limits<double>::infinity();
  if (route == Route::driver) cost.driver_bytes = 2 * count(most.resident) * image;
  return cost;
}

std::int64_t best_rounds_between(double keeping, double failures_per_second, double round) {
  return std::max<std::int64_t>(1, std::llround(std::sqrt(2 * keeping / failures_per_second) / round));
}

}  // namespace finetune::testing
