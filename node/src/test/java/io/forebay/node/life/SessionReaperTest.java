package io.forebay.node.life;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.StillEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.SessionEntry;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Of nodes x and y, of which y is always well. */
final class SessionReaperTest {
  private static final NodeId X = new NodeId("x");
  private static final NodeId Y = new NodeId("y");
  private static final int PATIENCE_MILLIS = 10_000;

  private final StillEnv env = new StillEnv();
  private final List<SessionEntry> open = new ArrayList<>();
  private final SessionReaper reaper = new SessionReaper(env, new Plane());
  private ClusterImage image = ClusterImage.EMPTY;
  private Runnable beforeSessionsAreListed = () -> {};
  private boolean away;
  private boolean heard;
  private long term = 1;
  private long sessions;

  private void opens(NodeId node) {
    open.add(new SessionEntry(new SessionId(++sessions), node, 0, 1, 1));
  }

  private void look(NodeRecord... nodes) {
    image(nodes);
    reaper.look(term, () -> image, node -> heard);
  }

  private void image(NodeRecord... nodes) {
    var all = new ArrayList<>(List.of(nodes));
    all.add(new NodeRecord(Y, "y:1", "", 2, NodeState.UP));
    image = new ClusterImage(9, "test", all, List.of(), List.of(), List.of(), List.of(), List.of());
  }

  /** Looks, every second, for so long. */
  private void looksFor(int millis, NodeRecord... nodes) {
    look(nodes);
    for (int passed = 0; passed < millis; passed += 1_000) {
      env.pass(1_000);
      look(nodes);
    }
  }

  private static NodeRecord x(long registration, NodeState state) {
    return new NodeRecord(X, "x:1", "", registration, state);
  }

  private List<NodeId> open() {
    return open.stream().map(SessionEntry::node).toList();
  }

  @Test
  void whoIsDownForSomeSecondsHasItsSessionsEndedAndNobodyElse() {
    opens(X);
    opens(Y);
    opens(X);
    looksFor(PATIENCE_MILLIS - 1_000, x(1, NodeState.DOWN));
    assertThat(open()).containsExactly(X, Y, X);
    looksFor(1_000, x(1, NodeState.DOWN));
    assertThat(open()).containsExactly(Y);
  }

  @Test
  void whoIsOutAndStillHeardOfGoesOn() {
    opens(X);
    heard = true;
    looksFor(5 * PATIENCE_MILLIS, x(1, NodeState.DOWN));
    assertThat(open()).containsExactly(X);
    heard = false;
    looksFor(PATIENCE_MILLIS - 1_000, x(1, NodeState.DOWN));
    assertThat(open()).containsExactly(X);
    looksFor(1_000, x(1, NodeState.DOWN));
    assertThat(open()).isEmpty();
  }

  /** Another voter led while it was back, so nothing of that was seen here. */
  @Test
  void whatWasSeenInAnEarlierTermSaysNothing() {
    opens(X);
    looksFor(PATIENCE_MILLIS, x(1, NodeState.DOWN));
    assertThat(open()).isEmpty();
    opens(X);
    term = 3;
    looksFor(PATIENCE_MILLIS - 1_000, x(1, NodeState.DOWN));
    assertThat(open()).as("it may be well, and is not heard of yet").containsExactly(X);
    looksFor(1_000, x(1, NodeState.DOWN));
    assertThat(open()).isEmpty();
  }

  @Test
  void aNewRunThatIsDownIsWaitedForAnew() {
    opens(X);
    looksFor(PATIENCE_MILLIS, x(1, NodeState.DOWN));
    opens(X);
    looksFor(PATIENCE_MILLIS - 1_000, x(4, NodeState.DOWN));
    assertThat(open()).containsExactly(X);
    looksFor(1_000, x(4, NodeState.DOWN));
    assertThat(open()).isEmpty();
  }

  @Test
  void whoCameBackWhileItsSessionsWereListedKeepsThem() {
    opens(X);
    look(x(1, NodeState.DOWN));
    env.pass(PATIENCE_MILLIS);
    beforeSessionsAreListed =
        () -> {
          image(x(5, NodeState.UP));
          opens(X);
        };
    look(x(1, NodeState.DOWN));
    assertThat(open()).containsExactly(X, X);
  }

  @Test
  void whoIsForgottenSoonHasItsSessionsEndedToo() {
    opens(X);
    opens(Y);
    looksFor(3_000, x(1, NodeState.DOWN));
    look();
    assertThat(open()).containsExactly(Y);
  }

  @Test
  void whatFailedIsTriedAgain() {
    opens(X);
    away = true;
    look(x(1, NodeState.DOWN));
    env.pass(PATIENCE_MILLIS);
    try {
      look(x(1, NodeState.DOWN));
    } catch (ForebayException expected) {
      assertThat(expected.code()).isEqualTo(ErrorCode.UNAVAILABLE);
    }
    assertThat(open()).containsExactly(X);
    away = false;
    look(x(1, NodeState.DOWN));
    assertThat(open()).isEmpty();
  }

  private final class Plane implements ControlPlane {
    @Override
    public NamespaceAnswer query(NamespaceQuery query) {
      if (away) {
        throw new ForebayException(ErrorCode.UNAVAILABLE, "no leader");
      }
      beforeSessionsAreListed.run();
      return new NamespaceAnswer.OpenSessions(List.copyOf(open));
    }

    @Override
    public NamespaceResult namespace(NamespaceCommand command) {
      if (command instanceof NamespaceCommand.CloseSession(var session)) {
        open.removeIf(each -> each.session().equals(session));
      }
      return new NamespaceResult.Done();
    }

    @Override
    public ClusterResult cluster(ClusterCommand command) {
      throw new UnsupportedOperationException();
    }

    @Override
    public ClusterImage image() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean awaitVersion(long version, long timeoutNanos) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void onImage(Consumer<ClusterImage> listener) {
      throw new UnsupportedOperationException();
    }
  }
}
