import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrameAggregator;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import java.net.InetSocketAddress;

/**
 * Netty as an echo server on the JVM: {@code java -jar netty-server.jar PORT [--burn N]}.
 *
 * <p>--burn N burns about N ns of CPU for each message: a loop of a fixed number of rounds, so that the work is the same
 * whatever the clock or the machine does. How long a round takes is the machine's and the compiler's affair: scripts/foreign
 * measures it.
 */
public final class NettyServer {
    /** One round is six shifts and XORs, each of which waits for the one before: 2 ns at 3 GHz, once compiled. */
    private static final int ROUND_NS = 2;
    /** The largest message, bytes: what the tests send is less. */
    private static final int MAX_MESSAGE = 16 << 20;
    /** The largest request of the HTTP phase, bytes. */
    private static final int MAX_REQUEST = 16 << 10;

    public static void main(String[] arguments) throws InterruptedException {
        boolean plain = arguments.length == 1 && arguments[0].matches("\\d+");
        boolean burning = arguments.length == 3
                && arguments[0].matches("\\d+") && arguments[1].equals("--burn") && arguments[2].matches("\\d+");
        if (!plain && !burning) {
            System.err.println("expected PORT [--burn N], both whole numbers, N in ns, not: " + String.join(" ", arguments));
            System.exit(2);
        }
        int rounds = burning ? Math.round(Long.parseLong(arguments[2]) / (float) ROUND_NS) : 0;
        Channel server = new ServerBootstrap()
                // One thread accepts and one serves, as in the other servers.
                .group(new NioEventLoopGroup(1), new NioEventLoopGroup(1))
                .channel(NioServerSocketChannel.class)
                .option(ChannelOption.SO_BACKLOG, 4096)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new Connections(rounds))
                .bind("127.0.0.1", Integer.parseInt(arguments[0]))
                .sync()
                .channel();
        System.out.println("listening on ws://127.0.0.1:" + ((InetSocketAddress) server.localAddress()).getPort() + "/");
        server.closeFuture().sync();
    }

    /** What each connection is given. */
    private static final class Connections extends ChannelInitializer<Channel> {
        private final int rounds;

        Connections(int rounds) {
            this.rounds = rounds;
        }

        @Override
        protected void initChannel(Channel channel) {
            channel.pipeline().addLast(
                    new HttpServerCodec(),
                    new HttpObjectAggregator(MAX_REQUEST),
                    new WebSocketServerProtocolHandler("/", null, false, MAX_MESSAGE),
                    new WebSocketFrameAggregator(MAX_MESSAGE),
                    new Echo(rounds));
        }
    }

    /** Sends every message back. */
    private static final class Echo extends SimpleChannelInboundHandler<WebSocketFrame> {
        /** Kept from one message to the next, so that no compiler can leave the loop out. */
        private int state = 1;

        private final int rounds;

        Echo(int rounds) {
            this.rounds = rounds;
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame message) {
            burn();
            context.writeAndFlush(message.retain());
        }

        private void burn() {
            int x = state;
            for (int round = 0; round < rounds; round++) {
                x ^= x << 13;
                x ^= x >>> 17;
                x ^= x << 5;
            }
            state = x;
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }
    }

    private NettyServer() {}
}
