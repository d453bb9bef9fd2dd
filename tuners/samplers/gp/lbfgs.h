// Minimisation within bounds by limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4),
// made to respect bounds by projection: coordinates held at a bound leave the quasi-Newton model, the others follow it
// along the projected path with backtracking (Bertsekas, SIAM J. Control Optim. 20(2), 1982). Driven from outside, so
// that many runs can share one evaluation:
//   while (!run.done()) { evaluate at run.point(); run.tell(value, gradient); }
#pragma once

#include <Eigen/Core>
#include <deque>

namespace finetune::gp {

struct LbfgsOptions {
  int max_iterations = 200;          ///< accepted steps
  double gradient_tolerance = 1e-5;  ///< stops when no coordinate of the projected gradient is larger
  double value_tolerance = 0;        ///< stops when a step gains less than this x max(1, |value|)
  int memory = 10;                   ///< pairs kept
};

class Lbfgs {
 public:
  /// Bounds may be infinite; the start is moved inside them.
  Lbfgs(const Eigen::VectorXd& start, Eigen::VectorXd lower, Eigen::VectorXd upper, LbfgsOptions options);

  const Eigen::VectorXd& point() const { return trial_; }
  /// Value and gradient at point(). A value that is not finite makes the step shorter; at the start it ends the run.
  void tell(double value, const Eigen::VectorXd& gradient);
  bool done() const { return done_; }

  const Eigen::VectorXd& best() const { return x_; }
  double best_value() const { return value_; }  ///< infinity before the first finite value

 private:
  struct Pair {
    Eigen::VectorXd step, change;  // of the point and of the gradient
  };
  void accept(double value, const Eigen::VectorXd& gradient);
  void start_line();
  void try_step();
  Eigen::VectorXd direction(const Eigen::ArrayXd& free) const;

  LbfgsOptions options_;
  Eigen::VectorXd lower_, upper_;
  Eigen::VectorXd x_, gradient_, direction_, trial_;
  double value_, length_ = 1;
  std::deque<Pair> pairs_;
  int iterations_ = 0, shortened_ = 0;
  bool done_ = false;
};

}  // namespace finetune::gp
