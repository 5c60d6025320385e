class Salutations < Formula
  desc "Greets on every system alike"
  homepage "https://example.org/salutations"
  url "https://example.org/salutations/salutations-4.2.tar.gz"
  sha256 "ca6a29d122e5f97e3f1d965a38e71a32ac304a4a5d16a6fd2f7d83117f9cf041"
  license "BSD-2-Clause"

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    sha256 cellar: :any_skip_relocation, all: "c8e70664bfda43bfe741af1080682aecbac30acb867395d6cc58e3224fc9ca6c"
  end

  def install
    bin.install "salutations"
  end

  test do
    assert_match version.to_s, shell_output(bin/"salutations")
  end
end
