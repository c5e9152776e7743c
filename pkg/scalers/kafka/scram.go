package kafka

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/weir-sh/weir/pkg/scalers"
)

// scram is the client's side of RFC 5802, as far as Kafka uses it: without
// channel binding, and without SASLprep, which brokers do not apply either.
type scram struct {
	hash           func() hash.Hash
	user, password string
	nonce          string
	step           int
	first          string // the client's first message, without its header
	expected       []byte // the server's signature
}

func newSCRAM256() sarama.SCRAMClient { return &scram{hash: sha256.New} }
func newSCRAM512() sarama.SCRAMClient { return &scram{hash: sha512.New} }

// The most iterations that are worked through. Brokers use 4,096 by default, and
// 16,384 at most.
const maxIterations = 1 << 20

// Begin implements sarama.SCRAMClient.
func (s *scram) Begin(user, password, _ string) error {
	s.user = strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
	s.password, s.nonce = password, rand.Text()
	return nil
}

// Done implements sarama.SCRAMClient.
func (s *scram) Done() bool { return s.step == 3 }

// Step implements sarama.SCRAMClient.
func (s *scram) Step(challenge string) (string, error) {
	s.step++
	switch s.step {
	case 1:
		s.first = "n=" + s.user + ",r=" + s.nonce
		return "n,," + s.first, nil
	case 2:
		return s.prove(challenge)
	}
	return "", s.verify(challenge)
}

// prove answers the server's challenge.
func (s *scram) prove(challenge string) (string, error) {
	fields := attributes(challenge)
	if fields["e"] != "" {
		return "", errRefused()
	}
	salt, err := base64.StdEncoding.DecodeString(fields["s"])
	rounds, err2 := strconv.Atoi(fields["i"])
	if err != nil || err2 != nil || rounds < 1 || rounds > maxIterations || !strings.HasPrefix(fields["r"], s.nonce) {
		return "", errSCRAM("the broker's challenge is malformed")
	}
	salted, err := pbkdf2.Key(s.hash, s.password, salt, rounds, s.hash().Size())
	if err != nil {
		return "", errSCRAM("the key cannot be derived")
	}
	final := "c=biws,r=" + fields["r"]
	message := s.first + "," + challenge + "," + final
	client := s.mac(salted, "Client Key")
	stored := s.hash()
	stored.Write(client)
	proof := s.mac(stored.Sum(nil), message)
	for i := range proof {
		proof[i] ^= client[i]
	}
	s.expected = s.mac(s.mac(salted, "Server Key"), message)
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify checks that the server knows the password too.
func (s *scram) verify(answer string) error {
	fields := attributes(answer)
	signature, err := base64.StdEncoding.DecodeString(fields["v"])
	switch {
	case fields["e"] != "":
		return errRefused()
	case err != nil || !hmac.Equal(signature, s.expected):
		return errSCRAM("the broker does not prove that it knows the password")
	}
	return nil
}

func (s *scram) mac(key []byte, message string) []byte {
	m := hmac.New(s.hash, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

// attributes takes a message apart, as "r=...,s=...,i=...".
func attributes(message string) map[string]string {
	out := map[string]string{}
	for field := range strings.SplitSeq(message, ",") {
		name, value, _ := strings.Cut(field, "=")
		out[name] = value
	}
	return out
}

const loggingIn = "logging in by SCRAM"

func errRefused() error {
	return &scalers.Error{Kind: scalers.Unauthorized, Op: loggingIn, Err: errors.New("the broker refuses user or password"), Hint: hintLogin}
}

func errSCRAM(what string) error {
	return &scalers.Error{Kind: scalers.BadAnswer, Op: loggingIn, Err: errors.New(what), Hint: "check that the address is that of the broker"}
}
