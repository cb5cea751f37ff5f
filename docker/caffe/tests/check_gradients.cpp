// Compares the gradients that a whole network computes with finite differences, in double precision.
//
//   check_gradients NET.prototxt SEED SAMPLES [INPUT=CLASSES...]
//
// The network's inputs come from Input layers, its losses are added up as in training (phase TRAIN).
// Weights and inputs are random; an input named with a number of classes gets labels. For each blob
// that is learned, and each input that is no label (its layer needs propagate_down), SAMPLES numbers in
// it and one direction through all of it are changed by a small step. Prints a line of JSON for each
// blob, with the worst error as a share of its gradient, and one for each BatchNorm.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "caffe/caffe.hpp"

using caffe::Blob;
using caffe::Caffe;
using caffe::Layer;
using caffe::Net;
using caffe::NetParameter;
using std::string;
using std::vector;

namespace {

// A step that crosses the kink of a ReLU or of a maximum says little: then a smaller one is tried.
// The last is for gradients so small that rounding hides them from small steps.
const double kSteps[] = {1e-6, 1e-7, 1e-5};
// The own error of the differences is some 1e-6 of a typical gradient.
const double kTolerance = 1e-4;

struct Checked {
  string name;
  Blob<double>* blob;
  vector<double> gradient;
};

class Checker {
 public:
  Checker(const NetParameter& param, unsigned seed) : net_(param), seed_(seed), random_(seed) {}

  // Weights as a training might leave them: no blob is constant, no activation explodes.
  void FillWeights() {
    for (int i = 0; i < int(net_.layers().size()); ++i) {
      Layer<double>& layer = *net_.layers()[i];
      if (string(layer.type()) == "BatchNorm") { continue; }
      for (int j = 0; j < int(layer.blobs().size()); ++j) {
        Blob<double>& blob = *layer.blobs()[j];
        if (j > 0) {
          Fill(&blob, 0, 0.3);
        } else if (string(layer.type()) == "Scale") {
          Fill(&blob, 1, 0.2);
        } else {
          Fill(&blob, 0, std::sqrt(2. * blob.shape(0) / blob.count()));
        }
      }
    }
  }

  void FillInputs(const std::map<string, int>& classes) {
    for (int i = 0; i < int(net_.layers().size()); ++i) {
      if (string(net_.layers()[i]->type()) != "Input") { continue; }
      for (int id : net_.top_ids(i)) {
        Blob<double>* blob = net_.blobs()[id].get();
        const string& name = net_.blob_names()[id];
        if (classes.count(name)) {
          for (int k = 0; k < blob->count(); ++k) {
            blob->mutable_cpu_data()[k] = random_() % classes.at(name);
          }
        } else {
          Fill(blob, 0, 50);  // as pixels less their mean
          inputs_.push_back({name, blob, {}});
        }
      }
    }
  }

  // Scores of about 1: with larger ones, one class has all the probability and no gradient is left.
  void CalmScores() {
    for (int i = 0; i < int(net_.layers().size()); ++i) {
      Layer<double>& layer = *net_.layers()[i];
      if (string(layer.type()) != "InnerProduct") { continue; }
      net_.ForwardTo(i);
      const double size = Size(*net_.top_vecs()[i][0]);
      for (auto& blob : layer.blobs()) {
        caffe::caffe_scal(blob->count(), 1 / size, blob->mutable_cpu_data());
      }
    }
  }

  bool Check(int samples) {
    net_.ClearParamDiffs();
    std::cout << "{\"loss\": " << Loss() << "}\n";
    net_.Backward();
    vector<Checked> all = inputs_;
    for (int i = 0; i < int(net_.layers().size()); ++i) {
      Layer<double>& layer = *net_.layers()[i];
      if (string(layer.type()) == "BatchNorm") { continue; }
      for (int j = 0; j < int(layer.blobs().size()); ++j) {
        all.push_back({net_.layer_names()[i] + " " + std::to_string(j), layer.blobs()[j].get(), {}});
      }
    }
    for (Checked& one : all) {
      const double* diff = one.blob->cpu_diff();
      one.gradient.assign(diff, diff + one.blob->count());
    }
    bool right = true;
    for (const Checked& one : all) { right = CheckBlob(one, samples) && right; }
    TellOfBatchNorm();
    return right;
  }

 private:
  void Fill(Blob<double>* blob, double mean, double deviation) {
    std::normal_distribution<double> normal(mean, deviation);
    for (int k = 0; k < blob->count(); ++k) { blob->mutable_cpu_data()[k] = normal(random_); }
  }

  static double Size(const Blob<double>& blob) {
    return std::sqrt(blob.sumsq_data() / blob.count());
  }

  // Dropout draws the same numbers each time.
  double Loss() {
    Caffe::set_random_seed(seed_);
    double loss;
    net_.Forward(&loss);
    return loss;
  }

  double Slope(Blob<double>* blob, const vector<double>& direction, double step) {
    const vector<double> before(blob->cpu_data(), blob->cpu_data() + blob->count());
    double losses[2];
    for (int side = 0; side < 2; ++side) {
      for (int k = 0; k < blob->count(); ++k) {
        blob->mutable_cpu_data()[k] = before[k] + (side ? step : -step) * direction[k];
      }
      losses[side] = Loss();
    }
    std::copy(before.begin(), before.end(), blob->mutable_cpu_data());
    return (losses[1] - losses[0]) / (2 * step);
  }

  bool CheckBlob(const Checked& one, int samples) {
    const int count = one.blob->count();
    const double scale = Size(*one.blob);
    double squares = 0, largest = 0;
    int steepest = 0;
    for (int k = 0; k < count; ++k) {
      squares += one.gradient[k] * one.gradient[k];
      if (std::abs(one.gradient[k]) > largest) { largest = std::abs(one.gradient[steepest = k]); }
    }
    // Gradients, like steps, are counted in units of the blob's own numbers: a loss per doubling.
    const double floor = std::max(std::sqrt(squares / count) * scale, 1e-4);

    vector<vector<double> > directions;
    for (int s = 0; s < samples; ++s) {
      directions.push_back(vector<double>(count, 0));
      directions.back()[s == 0 ? steepest : random_() % count] = 1;
    }
    std::normal_distribution<double> normal(0, 1 / std::sqrt(count));
    directions.push_back(vector<double>(count));
    for (double& along : directions.back()) { along = normal(random_); }

    double worst = 0;
    int kinks = 0;
    for (const vector<double>& direction : directions) {
      double computed = 0;
      for (int k = 0; k < count; ++k) { computed += direction[k] * one.gradient[k] * scale; }
      double least = 0, error = 0;
      for (double step : kSteps) {
        const double measured = Slope(one.blob, direction, step * scale) * scale;
        error = std::abs(measured - computed) /
            std::max(std::max(std::abs(measured), std::abs(computed)), floor);
        if (std::isnan(error)) { error = 1e300; }
        least = step == kSteps[0] ? error : std::min(least, error);
        if (error < kTolerance) { break; }
        if (step == kSteps[0]) { ++kinks; }
      }
      worst = std::max(worst, least);
    }
    std::cout << "{\"blob\": \"" << one.name << "\", \"numbers\": " << count << ", \"checked\": "
              << directions.size() << ", \"gradient\": " << largest * scale << ", \"worst\": " << worst
              << ", \"kinks\": " << kinks << ", \"right\": " << (worst < kTolerance ? "true" : "false")
              << "}" << std::endl;
    return worst < kTolerance;
  }

  // A BatchNorm in training normalises by the batch at hand: its top has mean 0 and variance 1.
  void TellOfBatchNorm() {
    for (int i = 0; i < int(net_.layers().size()); ++i) {
      if (string(net_.layers()[i]->type()) != "BatchNorm") { continue; }
      net_.ForwardTo(i);  // what follows may be computed in place
      const Blob<double>& top = *net_.top_vecs()[i][0];
      double farthest = 0;
      for (int c = 0; c < top.channels(); ++c) {
        double sum = 0;
        for (int n = 0; n < top.num(); ++n) {
          for (int k = 0; k < top.count(2); ++k) { sum += top.cpu_data()[top.offset(n, c) + k]; }
        }
        farthest = std::max(farthest, std::abs(sum) / (top.num() * top.count(2)));
      }
      std::cout << "{\"batchnorm\": \"" << net_.layer_names()[i] << "\", \"mean\": " << farthest
                << ", \"deviation\": " << Size(top) << "}\n";
    }
  }

  Net<double> net_;
  const unsigned seed_;
  std::mt19937 random_;
  vector<Checked> inputs_;
};

}  // namespace

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = 1;
  google::InitGoogleLogging(argv[0]);
  if (argc < 4) {
    std::cerr << "usage: check_gradients NET.prototxt SEED SAMPLES [INPUT=CLASSES...]\n";
    return 2;
  }
  NetParameter param;
  caffe::ReadNetParamsFromTextFileOrDie(argv[1], &param);
  param.mutable_state()->set_phase(caffe::TRAIN);
  std::map<string, int> classes;
  for (int i = 4; i < argc; ++i) {
    const string word = argv[i];
    const size_t equals = word.find('=');
    classes[word.substr(0, equals)] = std::stoi(word.substr(equals + 1));
  }
  Caffe::set_mode(Caffe::CPU);
  std::cout << std::setprecision(6);
  Checker checker(param, std::stoi(argv[2]));
  checker.FillWeights();
  checker.FillInputs(classes);
  checker.CalmScores();
  return checker.Check(std::stoi(argv[3])) ? 0 : 1;
}
