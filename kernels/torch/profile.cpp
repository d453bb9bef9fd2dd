#include "kernels/torch/profile.h"

#include <utility>

namespace finetune::ops {
namespace {

thread_local Profile* thread_profile = nullptr;

double seconds_since(Profile::Clock::time_point started) {
  return std::chrono::duration<double>(Profile::Clock::now() - started).count();
}

bool has_phases(Part part) {
  return part <= Part::residual;
}

}  // namespace

Profile* profile_in_use() {
  return thread_profile;
}

UseProfile::UseProfile(Profile* profile) : before_(std::exchange(thread_profile, profile)), profile_(profile) {
  if (profile_ == nullptr) return;
  started_ = Profile::Clock::now();
  if (profile_->last == Profile::Clock::time_point()) profile_->first = started_;
}
UseProfile::~UseProfile() {
  thread_profile = before_;
  if (profile_ == nullptr) return;
  profile_->last = Profile::Clock::now();
  profile_->busy += std::chrono::duration<double>(profile_->last - started_).count();
}

InBackward::InBackward() {
  if (Profile* profile = thread_profile) profile->phase = Phase::backward;
}
InBackward::~InBackward() {
  if (Profile* profile = thread_profile) profile->phase = Phase::forward;
}

void Timed::begin(Profile& profile, Part part, const Work& work) {
  if (profile.under_way != nullptr) {
    profile.under_way->work += work;
    return;
  }
  const Phase phase = has_phases(part) ? profile.phase : Phase::forward;
  profile.under_way = &profile.parts[static_cast<std::size_t>(part)][static_cast<std::size_t>(phase)];
  profile.under_way->work += work;
  profile_ = &profile;
  started_ = Profile::Clock::now();
}

void Timed::end() {
  PartTotal& total = *std::exchange(profile_->under_way, nullptr);
  total.seconds += seconds_since(started_);
  ++total.calls;
}

}  // namespace finetune::ops
