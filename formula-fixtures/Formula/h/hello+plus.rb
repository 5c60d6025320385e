class Helloxplus < Formula
  desc "Greets the world and its neighbours"
  homepage "https://example.org/hello+plus"
  url "https://example.org/hello+plus/hello-plus-1.0.0.tar.gz"
  sha256 "45c11d501cc3574bee4171684a5be14bc519ee828bbbacc64155d9432b9a3aa6"
  license "BSD-2-Clause"

  bottle do
    root_url "https://ghcr.io/v2/brew-provenance/fixtures"
    rebuild 2
    sha256 cellar: :any_skip_relocation, arm64_sequoia: "0d6c4366667c2b9e51bd285e5b0b94616dc272b15235f8af2117693e94f811e5"
    sha256 cellar: :any_skip_relocation, arm64_linux:   "7b3020199406b0a07c7b2c05aa67d7b128ac612ebe3d1c651e478b88e6ca013f"
  end

  def install
    bin.install "hello+plus"
  end

  test do
    assert_match version.to_s, shell_output(bin/"hello+plus")
  end
end
