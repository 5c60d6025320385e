class Hello < Formula
  desc "Greets the world"
  homepage "https://example.org/hello"
  url "https://example.org/hello/hello-3.0.1.tar.gz"
  sha256 "724fcb74388afb40cbf5cb01ccf649f08334000282fdd709990f97effbb9b3ed"
  license "BSD-2-Clause"

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    sha256 cellar: :any,                 arm64_tahoe:   "52a6bcda3c8e6d9525c2cf0cda0fb4e3ff736824caa3f3364b6d89a049e3c8f7"
    sha256 cellar: :any,                 arm64_sequoia: "6842969faa14af239f1eccca442157a67869f11e4d3ace05a828c298963d5a13"
    sha256 cellar: :any,                 arm64_sonoma:  "973514208e7da1455cdd9284a83543d8de895c28b2594815e9fe03c6c337fa71"
    sha256 cellar: :any,                 sonoma:        "849d5b2294a2ce7d7db98b102646bc3c31da65d6750658f550bca6e42359ae29"
    sha256 cellar: :any_skip_relocation, arm64_linux:   "4aad5a556da9cac9015cbd315de08e79bc4ac5c64d0c8ab7b113cf96ceeed8db"
    sha256 cellar: :any_skip_relocation, x86_64_linux:  "0fd57fcb69a38216839d6a25d94e2aa5c81c9a39987311d0443e356fa949caf1"
  end

  def install
    bin.install "hello"
  end

  test do
    assert_match version.to_s, shell_output(bin/"hello")
  end
end
