class Draft < Formula
  desc "Has not been bottled yet"
  homepage "https://example.org/draft"
  url "https://example.org/draft/draft-0.1.0.tar.gz"
  sha256 "176e7c9a96c7cc5fff0138cf2f75306159ae012424d26285a10d0b6e6d2f6074"
  license "BSD-2-Clause"

  def install
    bin.install "draft"
  end

  test do
    assert_match version.to_s, shell_output(bin/"draft")
  end
end
