class Greeter < Formula
  desc "Greets whoever comes"
  homepage "https://example.org/greeter"
  url "https://example.org/greeter/greeter-0.9.3.tar.gz"
  sha256 "c01148a95e41a0f82fe89373aa44a8709f1b9fd2d3f7f53bcea3a20809ff4b37"
  license "BSD-2-Clause"

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    sha256 cellar: :any_skip_relocation, arm64_tahoe:  "a9afe5e525e5819cb30490563b3b01b5ebd3a8b30a4ac2895a508984d63946b3"
    sha256 cellar: :any_skip_relocation, x86_64_linux: "89b262b21edd9add38b9814a13642ab881fec39abaf836d1872d4b12eb09e226"
  end

  depends_on "brew-provenance/fixtures/hello"

  def install
    bin.install "greeter"
  end

  test do
    assert_match version.to_s, shell_output(bin/"greeter")
  end
end
