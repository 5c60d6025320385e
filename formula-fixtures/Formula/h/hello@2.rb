class HelloAT2 < Formula
  desc "Greets the world, as it used to"
  homepage "https://example.org/hello"
  url "https://example.org/hello/hello-2.4.1.tar.gz"
  sha256 "906482c40f1b00247d3fe872ff37ad8cfe917f2cebaba7722146af9e90fbdc71"
  license "BSD-2-Clause"

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    sha256 cellar: :any_skip_relocation, arm64_tahoe:  "13dbb5a74d9fae4c31281e5b3d4177a30e139edd539f6d344fb4896ecceecb9a"
    sha256 cellar: :any_skip_relocation, x86_64_linux: "b71c24396ab53d85214911a9855154da28429810e3b9ba647a6664ac5f5eedbc"
  end

  keg_only :versioned_formula

  def install
    bin.install "hello@2"
  end

  test do
    assert_match version.to_s, shell_output(bin/"hello@2")
  end
end
