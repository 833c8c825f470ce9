package io.forebay.app.chaos;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class TaggedTest {
  @ParameterizedTest
  @ValueSource(ints = {16, 17, 65_535, 65_536, 65_537, 300_000})
  void aContentSaysWhichItIs(int lengthBytes) {
    assertThat(Tagged.tag(Tagged.content(42, lengthBytes), "it")).isEqualTo(42);
  }

  @Test
  void aMixtureOfTwoIsNone() {
    byte[] mixed = Tagged.content(1, 200_000);
    byte[] other = Tagged.content(2, 200_000);
    System.arraycopy(other, 150_000, mixed, 150_000, 50_000);
    assertThatThrownBy(() -> Tagged.tag(mixed, "it"))
        .isInstanceOf(Violation.class)
        .hasMessageContaining("begins as value 1 and is not that from byte 150000 on");
  }

  @Test
  void aPartAtAnotherPlaceIsNone() {
    byte[] shifted = Tagged.content(1, 200_000);
    System.arraycopy(shifted, 65_536, shifted, 131_072, 65_536);
    assertThatThrownBy(() -> Tagged.tag(shifted, "it")).hasMessageContaining("from byte 131079 on");
  }

  @Test
  void whatIsCutOffIsNone() {
    byte[] content = Tagged.content(1, 100);
    assertThatThrownBy(() -> Tagged.tag(Arrays.copyOf(content, 99), "it"))
        .hasMessageContaining("it has 99 bytes, and its head (value 1) says 100");
    assertThatThrownBy(() -> Tagged.tag(new byte[3], "it")).hasMessageContaining("3 bytes");
  }

  /** From the drawing, by Python: what boto3_client.py writes is what this class knows. */
  @Test
  void theBytesAreThoseOfTheDrawing() throws Exception {
    byte[] content = Tagged.content(0x0102030405060708L, 70_000);
    assertThat(HexFormat.of().formatHex(content, 0, 24))
        .isEqualTo("0102030405060708000000000001117073f3b00ce45fa755");
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    assertThat(HexFormat.of().formatHex(digest.digest(content)))
        .isEqualTo("0baf827fec58002af8f2fe2722eddcde7d1a8490c2a076e21fe57031ca1a372d");
  }
}
