class Farewell < Formula
  desc "Takes leave of the world"
  homepage "https://example.org/farewell"
  url "https://example.org/farewell/farewell-1.5.2.tar.gz"
  sha256 "3f0f9b0f7978758bad9c7a391895e1898d29a035001922460a9ccda2c073825a"
  license "BSD-2-Clause"
  revision 1

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    sha256 arm64_sonoma: "552ff622b0398a21998585d5115cc8351a1060f03f46e75499ad21db7e9f0d79"
    sha256 sonoma:       "fabd0f65ea7ad92be586cedb0c122ac220d4a6bad6c9836b33ae97479659652d"
    sha256 x86_64_linux: "7738bc4baea22f58c0530c43caada764fca1ab3d596d013d32caecc90700be37"
  end

  def install
    bin.install "farewell"
  end

  test do
    assert_match version.to_s, shell_output(bin/"farewell")
  end
end
