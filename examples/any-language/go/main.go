// Command ask asks OpenAI with the standard library alone. The key is read from OPENAI_KEY_FILE for each request where that is
// set (keyturn file), so that one which turns is found without a restart; else it is OPENAI_API_KEY (keyturn exec, keyturn proxy).
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func key() (string, error) {
	path := os.Getenv("OPENAI_KEY_FILE")
	if path == "" {
		return os.Getenv("OPENAI_API_KEY"), nil
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func ask(question string) (int, error) {
	base := os.Getenv("OPENAI_BASE_URL")
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	body := fmt.Sprintf(`{"model": "gpt-6-luna", "messages": [{"role": "user", "content": %q}]}`, question)
	request, err := http.NewRequest(http.MethodPost, base+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	secret, err := key()
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("OpenAI answered %s", answer.Status)
	}
	return len(text), err
}

func main() {
	size, err := ask("Say hello.")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("answered: %d bytes\n", size)
}
